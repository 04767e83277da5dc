"A person is erased from a run in whatever form a program wrote the name, and nobody else is."

import base64
import html
import json
import random
from dataclasses import replace
from urllib.parse import quote, quote_plus

import pytest

from crmeval.pages.erase import erase, holds_text
from crmeval.runs.evaluation import run
from crmeval.runs.folder import open_run
from crmeval.tasks.load import load_any

pytest.importorskip("pyarrow")
WRITTEN = {
    "address": quote,
    "form": quote_plus,
    "JSON": lambda t: json.dumps({"from": t}),
    "HTML": lambda t: html.escape(t).encode("ascii", "xmlcharrefreplace").decode(),
    "Base64": lambda t: base64.b64encode(t.encode()).decode(),
    "Base64 within a text": lambda t: base64.b64encode(f"xy {t} z".encode()).decode().rstrip("="),
    "Base64 of addresses": lambda t: base64.urlsafe_b64encode(t.encode()).decode(),
    "hexadecimal": lambda t: t.encode().hex(),
    "capitals": str.upper,
}
NAMES = ["Zoë Ångström", "Nguyễn Thị Ánh", "王小明先生", "O'Neill-Smith", "r.meyer@example.org", "😀 Kim Lee"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", WRITTEN)
def test_a_text_is_found_as_programs_write_it(name, form):
    written = WRITTEN[form](name)
    assert holds_text({"a": [1, {"b": f"see {written}, please"}]}, name), written
    assert not holds_text(f"see {written}, please", "Somebody Else")


@pytest.mark.parametrize("seed", range(2))
def test_a_run_holds_nothing_of_an_erased_person_in_any_form(tmp_path, seed):
    rng = random.Random(seed)
    name, other = rng.sample(NAMES, 2)
    samples = load_any("demo")[: len(WRITTEN) + 3]
    given, gone = [], set()
    for sample, form in zip(samples, [*WRITTEN, None, None, None]):
        field = next(iter(sample.inputs))
        more = WRITTEN[form](name) if form else WRITTEN[rng.choice(list(WRITTEN))](other)
        given.append(replace(sample, inputs={**sample.inputs, field: f"{sample.inputs[field]}\n{more}"}))
        gone |= {sample.id} if form else set()
    done = run("baseline:lead", data=given, out=tmp_path / "run", progress=False)
    told = erase(done.folder, match=name)
    assert told.samples == len(gone) and not told.left
    left = open_run(done.folder)
    assert {s.id for s in left.samples} == {s.id for s in given} - gone
    assert not any(r.sample_id in gone for r in [*left.responses, *left.scores])
    for path in done.folder.rglob("*"):
        if path.is_file():
            held = path.read_bytes().decode("utf-8", "replace")
            assert not any(write(name) in held for write in WRITTEN.values()), path
