"Agreement with people on public labelled data: the page shows measured figures; judges are treated alike."

import asyncio
import csv
import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path

import pytest

from crmeval.core.judging import Verdict
from crmeval.core.views import judge_in_words
from crmeval.judges.llm import LLMJudge
from crmeval.metrics.defaults import default_judge
from crmeval.validation import run_agreement
from crmeval.validation.labelled import FINESURE_JUDGES, LABELLED, at_hand, load_labelled
from crmeval.validation.measure import STATISTICS, HeldOut, ask_all, measure
from crmeval.validation.more_labelled import MORE_LABELLED
from crmeval.validation.run_agreement import figures_of, judge_agreement

PAGE = Path(__file__).parent.parent / "nbs" / "reports" / "agreement.ipynb"
# SHA-256 of the printed table of each labelled set, with the embedded judge held out from its training data;
# spacing between columns is ignored
AGREEMENT = {
    "finesure-factuality": "530adf4ec96c08664879b7acd26d144b8a895b47d4d0bf4092803cd8895ac73a",
    "finesure-completeness": "1b1e8c42dd9baba4d75283d9b27affeea0978141a4523dfcd32d7d917793a527",
    "finesure-conciseness": "f7b3e93e471ad6fdfe59c27a8e68189e25d0dab4f6cbad97e79619ed5f78895a",
    "summhay-completeness": "24dc2661603f1cb06a68a31b6352445e6dd0c56c05683582f8ed060c1ad6215c",
    "summedits-factuality": "66ade97bcd5da47c9e2321ae33a1a655263e4ecd073cf35e214c9245d2cc983f",
    "feedback-factuality": "40bf0759f80b83f457461bb236bb2b0ab3afc22099708f51243c7125da148971",
    "reviews-factuality": "236681dbbdf709b629a0cdd4f6076ab546ccc9f9cd38fd8f13c78077e399d152",
}


def digest_of(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@pytest.fixture(scope="module", autouse=True)
def asked_once():
    "Look up the stored answers of the embedded judge on a whole set once, in the first test that needs them."
    known, ask_once = {}, run_agreement.ask_all

    def once(items, judge, **options):
        if not isinstance(judge, HeldOut) or len(items) < 100:
            return ask_once(items, judge, **options)
        same = digest_of(repr(items))
        if same not in known:
            known[same] = ask_once(items, judge, **options)
        return known[same]

    run_agreement.ask_all = once
    yield
    run_agreement.ask_all = ask_once


def need(name):
    if not at_hand(name):
        pytest.skip(f"source {LABELLED[name].source} is not in CRMEVAL_DATA")


def texts_of_cells(row):
    return tuple(re.sub(r"<[^>]+>", "", d) for d in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S))


def shown():
    "Return the rows of the page's tables, as the texts of their cells."
    cells = json.loads(PAGE.read_text(encoding="utf-8"))["cells"]
    html = "".join(
        "".join(o.get("data", {}).get("text/html", []))
        for c in cells
        if c["cell_type"] == "code"
        for o in c["outputs"]
    )
    return [texts_of_cells(row) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", html, re.S)]


def short(e):
    if e.value is None:
        return "–"
    return f"{e.value:.2f}" if e.low is None else f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})"


@cache
def measured(name):
    "Measure the recorded judges and the embedded one on a whole data set, as the page does."
    return judge_agreement(name, n_resamples=400)


@pytest.mark.parametrize("name", [n for n in LABELLED if n not in MORE_LABELLED])
def test_the_page_shows_what_comes_out_again(name):
    need(name)
    page, rows = shown(), measured(name)
    assert len(rows) >= 1
    for r in rows:
        if name == "frank-factuality":
            if r.group == "all":
                assert any(
                    len(c) == 5
                    and c[0] == judge_in_words(r.judge)
                    and c[2] == short(r.figures["pearson"])
                    and c[4] == short(r.figures["system_rank"])
                    for c in page
                ), (r.judge, short(r.figures["pearson"]))
        else:
            assert (
                name.rsplit("-", 1)[0],
                judge_in_words(r.judge),
                r.group,
                str(r.responses),
                str(r.documents),
                str(r.undefined),
                *(short(r.figures[f]) for f in STATISTICS),
            ) in [c[:12] for c in page], (name, r.judge, r.group)


@pytest.mark.parametrize("name", AGREEMENT)
def test_every_figure_is_the_same_to_the_digit(name):
    "A changed figure is a decision: replace the digest and report the change in the change log."
    need(name)
    table = str(judge_agreement(name, default_judge()))
    assert digest_of(" ".join(table.split())) == AGREEMENT[name], table


@pytest.mark.parametrize(
    "metric,published",
    [("factuality", "faithfulness"), ("completeness", "completeness"), ("conciseness", "conciseness")],
)
def test_recorded_judges_stand_near_the_published_table(metric, published):
    "5 of 800 replies are parsed differently from upstream; the published figures lie inside our intervals."
    need(f"finesure-{metric}")
    root = Path(os.environ["CRMEVAL_DATA"]) / "finesure"
    with open(root / "published_table.csv", newline="", encoding="utf-8") as f:
        table = list(csv.DictReader(f))
    published_names = {
        "gpt-3.5-turbo": "GPT-3.5 Turbo",
        "gpt-4-1106-preview": "GPT-4 1106",
        "gpt-4o-2024-05-13": "GPT-4o",
        "gpt-4.1-mini-2025-04-14": "GPT-4.1 Mini",
    }
    rows = measure(
        "x", load_labelled(f"finesure-{metric}"), judges=FINESURE_JUDGES, groups=False, n_resamples=200
    )
    for r in rows:
        row = next(t for t in table if t["judge"].startswith(published_names[r.judge]))
        pearson, spearman = (float(x) for x in row[f"{published}_pearson_spearman"].split(" / "))
        for figure, value in (("pearson", pearson), ("spearman", spearman)):
            e = r.figures[figure]
            assert e.low <= value <= e.high and abs(e.value - value) < 0.05, (r.judge, figure, e.value, value)
        assert r.undefined <= 5


def test_the_embedded_judge_is_never_measured_on_what_it_learned_from():
    for name in (
        "finesure-factuality",
        "summhay-completeness",
        "summedits-factuality",
        "feedback-factuality",
    ):
        need(name)
        assert LABELLED[name].source in default_judge().trained_on
        whole = next(r for r in measured(name) if r.group == "all" and r.judge.startswith("embedded"))
        named = next(
            r for r in judge_agreement(name, default_judge(), limit=60, n_resamples=20) if r.group == "all"
        )
        for row in (whole, named):
            assert row.judge == "embedded (held out)" and row.undefined == 0


def test_held_out_answers_are_not_the_trained_judge_s():
    "The shipped judge was trained on these documents and agrees better with their labels: that is left out."
    need("finesure-completeness")
    items = load_labelled("finesure-completeness", limit=200)
    (seen,) = measure("x", ask_all(items, default_judge()), judges=["embedded"], groups=False, n_resamples=20)
    (kept,) = measure(
        "x", ask_all(items, HeldOut()), judges=["embedded (held out)"], groups=False, n_resamples=20
    )
    figure = "pearson_of_probabilities"  # verdicts are too coarse to show the difference
    assert seen.figures[figure].value > kept.figures[figure].value + 0.005


def test_a_judge_over_the_network_is_measured_with_calls_and_tokens(server):
    need("finesure-factuality")
    judge = LLMJudge("judge", base_url=server.url)
    row = judge_agreement("finesure-factuality", judge, limit=6, concurrency=3, n_resamples=20)[0]
    assert (row.judge, row.responses) == (judge.name, 6)
    assert row.calls and row.calls <= 2 and row.input_tokens > 0 and not row.estimated


def test_shuffled_labels_show_no_agreement():
    need("finesure-completeness")
    import random
    from dataclasses import replace

    items = [i for i in load_labelled("finesure-completeness") if "gpt-4o-2024-05-13" in i.answers]
    labels = [(i.people, i.units) for i in items]
    random.Random(0).shuffle(labels)
    mixed = [
        replace(i, people=p, units=(u * 20)[: len(i.units)] if u else ()) for i, (p, u) in zip(items, labels)
    ]
    (row,) = measure("x", mixed, judges=["gpt-4o-2024-05-13"], groups=False, n_resamples=50)
    assert (
        abs(row.figures["pearson"].value) < 0.2 and abs(row.figures["balanced_accuracy"].value - 0.5) < 0.05
    )


def test_every_figure_reaches_the_file():
    need("reviews-factuality")
    rows = judge_agreement("reviews-factuality", n_resamples=20)
    out = figures_of(rows)
    assert len(out) == len(rows) * len(rows[0].figures) and all(
        {"value", "low", "high", "n", "undefined", "method"} <= set(r) for r in out
    )
    assert json.loads(json.dumps(out)) == out


def test_asking_works_inside_a_running_loop():
    need("reviews-factuality")

    class Yes:
        name, style = "yes", "fine"

        def supported(self, sentences, *, source):
            return [Verdict(True) for _ in sentences]

        def stated(self, facts, *, sentences):
            return [Verdict(True) for _ in facts]

        def followed(self, instructions, *, response):
            return [Verdict(True) for _ in instructions]

    async def main():
        return judge_agreement("reviews-factuality", Yes(), limit=5, n_resamples=10)

    (row,) = asyncio.run(main())
    assert row.responses == 5
