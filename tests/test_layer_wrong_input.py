"Steps of the layer can be used alone, so each error says in plain words what arrived and what was expected."

import pytest

from crmeval import TrustLayer
from crmeval.detect.injection import injection
from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.defence import defend
from crmeval.layer.demasking import demask
from crmeval.layer.feedback import Feedback
from crmeval.layer.masking import MaskingPolicy, mask
from crmeval.layer.person_keys import AuditError
from crmeval.layer.screening import ScreeningPolicy, screen
from crmeval.layer.source_links import source_links
from crmeval.layer.templates import FieldRules, fill

VAULT = mask("Ana Ruiz wrote").vault
STEPS = {
    "mask": mask,
    "demask": lambda x: demask(x, VAULT),
    "screen": screen,
    "screen prompt": lambda x: screen("a", prompt=x),
    "screen canary": lambda x: screen("a", canary=x),
    "screen own": lambda x: screen("a", own={"b": x}),
    "source_links": lambda x: source_links(x, []),
    "defend task": lambda x: defend(x, "a"),
    "defend data": lambda x: defend("a", x),
    "defend passages": lambda x: defend("a", "b", passages=x),
    "fill": lambda x: fill(x, {}),
    "fill record": lambda x: fill("a", x),
    "fill rules": lambda x: fill("a", {}, {"hidden": x}),
    "rules": lambda x: FieldRules(allowed=x),
    "policy": lambda x: MaskingPolicy(fields=x),
    "feedback shown": lambda x: Feedback("r", "accept", shown=x),
    "feedback edited": lambda x: Feedback("r", "edit", edited=x),
    "feedback words": lambda x: Feedback("r", "accept", words=x),
    "layer's feedback": lambda x: TrustLayer("baseline:sensible").feedback(x, "accept"),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("wrong", [None, 4711, b"mail", object()], ids=["None", "int", "bytes", "object"])
def test_a_step_says_what_arrived(name, wrong):
    if name == "feedback edited" and wrong is None:
        pytest.skip("an edit without its text is told in another sentence")
    with pytest.raises(ValueError, match="expected|is a list of|is a mapping of|, not ") as caught:
        STEPS[name](wrong)
    assert "4711" not in str(caught.value) or name in ("screen own", "fill rules", "rules", "policy")


def test_a_trail_says_what_arrived(tmp_path):
    with AuditTrail(tmp_path / "t.jsonl") as trail:
        for kind in ("", None, 5):
            with pytest.raises(AuditError, match="kind is .*, expected what the record is about"):
                trail.append(kind)
        for call in (lambda: trail.append("prompt", person=17), lambda: trail.erase(None)):
            with pytest.raises(AuditError, match="person is (int|NoneType), expected text"):
                call()
        assert trail.append("prompt") == 1 and trail.verify().ok


def test_one_name_is_a_list_of_one():
    text = "Write to desk@farrow.example, see https://help.farrow.example/a"
    shown = screen(text, own="desk@farrow.example", hosts="help.farrow.example")
    assert shown.text == text
    assert screen(text, policy={"links": "pass", "leaks": "pass"}).text == text
    assert (
        screen(text, policy=ScreeningPolicy(links="pass")).text
        == "Write to [removed], see https://help.farrow.example/a"
    )
    assert "Router" in mask("Router of Ana Ruiz", policy=MaskingPolicy(readable="Router")).text


def test_a_detector_gives_no_label_to_what_is_no_text():
    assert [injection(x).status for x in (None, 5, b"a", [])] == ["undefined"] * 4
