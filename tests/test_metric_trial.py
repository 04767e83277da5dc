"Trying out a metric: a draft is compared with human labels, and edits of a module take effect."

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from pace import cpu_since

import crmeval
from crmeval import agreement, completeness, conciseness, factuality, fluency
from crmeval.core.records import Score
from crmeval.judges.family_weights import judge_weights, left_out_families
from crmeval.validation.label_agreement import graded_at_hand
from crmeval.validation.labelled import LABELLED, at_hand
from crmeval.validation.labels import check_families
from crmeval.validation.metric_trial import fair_judge

ROOT = Path(__file__).resolve().parent.parent
QUICK = "diasumfact-factuality"
needs_labels = pytest.mark.skipif(not graded_at_hand("xstest-refusal"), reason="xstest is not at hand")
needs_data = pytest.mark.skipif(not at_hand(QUICK), reason=f"{QUICK} is not at hand (CRMEVAL_DATA)")


def test_the_judge_of_a_trial_has_not_seen_the_family_of_any_labelled_set():
    for name, labelled in LABELLED.items():
        judge, _ = fair_judge(name)
        assert labelled.family not in check_families(judge.trained_on), name


def test_weights_without_a_family_differ_from_the_shipped_ones_only_in_what_it_taught():
    families = list(left_out_families())
    assert len(families) > 5
    for family in families:
        found = judge_weights(family)
        gone = set(judge_weights()["trained_on"]) - set(found["trained_on"])
        assert gone and check_families(gone) == {family}
        assert found["rarity"] == judge_weights()["rarity"]


@needs_data
def test_an_edited_metric_moves_and_the_shipped_one_does_not():
    def first_word(response: str, *, source: str) -> Score:
        share = float(response.split()[0].lower().strip(".,") in source.lower())
        return Score("first_word", 1 + 3 * share, share, "ok", "its first word")

    same, moved = agreement(factuality, on=QUICK), agreement(first_word, on=QUICK, n_resamples=100)
    assert same.rows[0].same and not same.moved and same.rows[0].lost == 0
    row = moved.rows[0]
    assert not row.same and row.change.value == pytest.approx(
        row.agreement.value - row.shipped.value, abs=1e-9
    )
    assert row.shipped.value == pytest.approx(same.rows[0].agreement.value)
    assert moved.moved and all(m.further > 0 for m in moved.moved) and len(moved.moved) <= 10
    assert [m.further for m in moved.moved] == sorted((m.further for m in moved.moved), reverse=True)
    page = moved._repr_html_()
    assert page.count("<details>") == len(moved.moved) and "<script" not in page


@needs_data
def test_a_judge_that_is_never_sure_agrees_with_nobody():
    class Unsure:
        name, style = "unsure", "fine"

        def supported(self, sentences, *, source):
            from crmeval.core.judging import Verdict

            return [Verdict(None, status="undefined", reason="<b>I do not know</b>") for _ in sentences]

    agreed = agreement(Unsure(), on=QUICK)
    row = agreed.rows[0]
    assert row.lost >= row.n - 2 and row.agreement.value is None  # no judge is needed for a trial
    assert "<b>" not in agreed._repr_html_() and agreed.judge == "unsure"


@needs_data
def test_a_metric_that_asks_for_what_the_data_lack_is_told_before_anything_is_scored():
    with pytest.raises(ValueError, match=f"conciseness needs key_facts; {QUICK} has the response and source"):
        agreement(conciseness, on=QUICK)


RELOADED = """
from IPython.core.interactiveshell import InteractiveShell
from pathlib import Path
import crmeval.metrics.conciseness as room
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "autoreload")
shell.run_line_magic("autoreload", "2")
shell.run_cell("from crmeval.metrics.conciseness import CARD, conciseness")
shell.run_cell("before = conciseness('', key_facts=['The line is dead.']).reason")
file = Path(room.__file__)
text = file.read_text(encoding="utf-8")
assert "is empty" in text
file.write_text(text.replace("is empty", "says nothing at all"), encoding="utf-8")
shell.run_cell("after = conciseness('', key_facts=['The line is dead.']).reason")
print(shell.user_ns["before"], "|", shell.user_ns["after"])
"""


def test_autoreload_sees_a_changed_room_of_a_wing(tmp_path):
    package = Path(crmeval.__file__).parent
    shutil.copytree(package, tmp_path / "crmeval")  # with caches: a stale one must not hide an edit
    env = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "IPYTHONDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", RELOADED], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.strip().splitlines()[-1].split(" | ")
    assert "is empty" in before and "says nothing at all" in after, done.stdout


QUICK_SETS = {
    "diasumfact-factuality": factuality,
    "feedback-factuality": factuality,
    "summhay-completeness": completeness,
    "finesure-conciseness": conciseness,
    "nlg-fluency": fluency,
}


@pytest.mark.parametrize("metric", sorted({x.metric for x in LABELLED.values()}))
def test_the_notebook_of_a_labelled_metric_shows_its_agreement_on_a_quick_set(metric):
    "The call is the cell's last expression, so that Jupyter displays the responses side by side."
    (notebook,) = (ROOT / "nbs" / "metrics").glob(f"*_{metric}.ipynb")
    sources = ("".join(c["source"]) for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"])
    (cell,) = (s for s in sources if f"agreement({metric}, on=" in s)
    assert "#| export" not in cell
    shown = ast.parse(cell).body[-1]
    assert isinstance(shown, ast.Expr)
    call = shown.value.body if isinstance(shown.value, ast.IfExp) else shown.value
    assert ast.unparse(call).startswith(f"agreement({metric}, on=")
    assert ast.literal_eval(call.keywords[0].value) in QUICK_SETS


@pytest.mark.parametrize("name", QUICK_SETS)
def test_a_quick_set_answers_within_three_seconds_after_the_first_call(name):
    "CPU time of a second call at most 3 s; up to three more are measured if the machine was busy."
    if not at_hand(name):
        pytest.skip(f"{name} is not at hand (CRMEVAL_DATA)")
    shipped = QUICK_SETS[name]

    def edited(response: str, *, judge=None, **context) -> Score:
        return shipped(response.rpartition(". ")[0] or response, judge=judge, **context)

    edited.__signature__ = inspect.signature(shipped)
    agreement(edited, on=name, download=False)
    took = []
    while not took or took[-1] >= 3 and len(took) < 4:
        started = time.process_time()
        agreed = agreement(edited, on=name, download=False)
        took.append(cpu_since(started))
    assert took[-1] < 3, took
    assert agreed.rows[0].n > 100 and not agreed.rows[0].same  # the edited metric, not the shipped one


IN_THE_CELL = """
row = agreement(factuality, on={name!r}, limit=80, download=False).rows[0]
print("figures:", row.agreement.value, row.shipped.value, row.same)
"""


def run_cell(client, code):
    "Return what a cell prints; fail if it raises."
    messages = []
    reply = client.execute_interactive(code, timeout=240, output_hook=messages.append)
    assert reply["content"]["status"] == "ok", reply["content"].get("traceback")
    return "".join(m["content"].get("text", "") for m in messages if m["msg_type"] == "stream")


def figures(client):
    output = run_cell(client, IN_THE_CELL.format(name=QUICK))
    agrees, shipped, same = re.search(r"figures: (\S+) (\S+) (\S+)", output).groups()
    return float(agrees), float(shipped), same == "True"


def rewritten(file, text):
    "Write the file with a later modification time, as an editor would."
    before = file.stat().st_mtime_ns
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=(before + 2_000_000_000, before + 2_000_000_000))


@needs_data
@pytest.mark.skipif(find_spec("ipykernel") is None, reason="ipykernel is not installed")
def test_a_kernel_measures_a_metric_that_was_changed_on_disk_and_changed_back(tmp_path):
    from jupyter_client.manager import KernelManager

    package = Path(crmeval.__file__).parent
    shutil.copytree(package, tmp_path / "crmeval")  # with caches: a stale one must not hide an edit
    room = tmp_path / "crmeval" / "metrics" / "factuality.py"
    text = room.read_text(encoding="utf-8")
    old = "    wrong, n = _unsupported(found, verdicts, source), len(found)\n"
    assert text.count(old) == 1
    changed = text.replace(old, "    found, verdicts = found[:1], verdicts[:1]\n" + old)
    own = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "IPYTHONDIR": str(tmp_path)}
    words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager = KernelManager(connection_file=str(tmp_path / "kernel.json"))
    manager.kernel_spec.argv = words
    manager.start_kernel(env={**os.environ, **own}, cwd=str(tmp_path))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=120)
        output = run_cell(
            client,
            "%load_ext autoreload\n%autoreload 2\nimport crmeval\n"
            "from crmeval import agreement, factuality\nprint(crmeval.__file__)",
        )
        assert str(tmp_path) in output
        first = figures(client)
        rewritten(room, changed)
        second = figures(client)
        rewritten(room, text)
        third = figures(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert first[2] and first[0] == first[1]  # unchanged code gives the figures of the shipped metric
    assert second[0] != first[0] and second[1] == first[1] and not second[2]
    assert third == first


@needs_labels
@pytest.mark.parametrize("word", ["cannot", "sorry", "unable", "illegal"])
def test_a_metric_of_labels_is_told_beside_the_grader_that_has_not_seen_them(word):
    def declines(response: str, *, prompt: str) -> Score:
        yes = word in response.lower()
        return Score("declines", None, None, "ok", label="refusal" if yes else "compliance")

    table = agreement(declines, on="xstest", limit=200, groups=False, n_resamples=20)
    assert [line.judge for line in table[:2]] == ["declines", "embedded (left out)"]
    assert 0 < table[0].figures["accuracy"].value < table[1].figures["accuracy"].value


@needs_labels
@pytest.mark.parametrize(
    "label, why", [("no", "gives the label 'no', expected one of"), (None, "gives no label")]
)
def test_a_label_that_people_never_gave_is_no_zero(label, why):
    def odd(response: str) -> Score:
        return Score("odd", None, None, "ok", label=label)

    with pytest.raises(ValueError, match=why):
        agreement(odd, on="xstest-refusal", limit=20)
