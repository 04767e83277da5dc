"The eleven use cases as templates: byte-identical prompts for any values, which stay data."

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval.core.records import Sample
from crmeval.layer.prompt_way import sample_draft
from crmeval.layer.templates import Filled, MergeError, fill, read_template
from crmeval.layer.use_case_templates import sample_pieces, use_case_template
from crmeval.tasks.use_cases import UseCase, get_use_case, render_prompt, use_cases

MARKS = st.sampled_from(
    ["{{", "}}", "{%", "\\{{", "{instructions}", "{emails}", "{{case.x}}", "{", "\\", "\n"]
)
VALUES = st.lists(MARKS | st.text(max_size=20), max_size=6).map("".join)
PLAIN = VALUES.filter(lambda text: text.strip())


def test_there_are_eleven():
    assert len(use_cases()) == 11


@pytest.mark.parametrize("name", use_cases())
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_a_filled_template_is_the_prompt_to_the_byte(name, data):
    inputs = {field: data.draw(PLAIN) for field in get_use_case(name).inputs}
    prompt, template = render_prompt(Sample("s", name, inputs)), use_case_template(name)
    done = fill(template, {"case": inputs})
    assert done.text == prompt
    assert fill(read_template(template.text), {"case": inputs}).text == prompt
    assert {p.name.removeprefix("case."): p.text for p in done.pieces if p.name} == inputs


@pytest.mark.parametrize("name", use_cases())
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_the_pieces_of_a_sample_are_its_prompt_and_its_data(name, data):
    inputs = {field: data.draw(VALUES) for field in get_use_case(name).inputs}
    own = [{"kind": "note", "text": f"An own one: {data.draw(VALUES)}"}]
    sample = Sample("s", name, inputs, instructions=own)
    pieces, prompt = sample_pieces(sample), render_prompt(sample)
    assert "".join(p.text for p in pieces) == prompt
    assert {p.name: p.text for p in pieces if p.name} == inputs
    assert sample_draft(sample, prompt).pieces == pieces


def test_a_field_that_is_missing_or_hidden_is_told():
    with pytest.raises(MergeError, match="case has no field 'emails'"):
        fill(use_case_template("service_email_summary"), {"case": {}})


def test_another_prompt_of_the_sample_is_looked_through_as_before():
    mail = "A mail that is longer than twenty characters."
    sample = Sample("s", "service_email_summary", {"emails": mail})
    pieces = sample_draft(sample, f"Own prompt:\n{mail}\nEnd.").pieces
    assert pieces == (Filled("Own prompt:\n"), Filled(mail, "emails"), Filled("\nEnd."))


@settings(max_examples=40, deadline=None)
@given(text=st.lists(MARKS | st.text(max_size=8), max_size=8).map("".join))
def test_marks_in_the_words_of_a_prompt_stay_words(text):
    kept = get_use_case("service_email_summary")
    changed = UseCase(**{**kept.__dict__, "prompt": f"Say <{text}> of this:\n{{emails}}\n{{instructions}}"})
    filled = fill(use_case_template(changed, instructions=[text]), {"case": {"emails": "a mail"}}).text
    values = {"{emails}": "a mail", "{instructions}": f"Instructions:\n- {text}"}
    assert filled == re.sub("|".join(values), lambda m: values[m[0]], changed.prompt)
