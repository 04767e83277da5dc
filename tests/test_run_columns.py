"A run processed from its tables gives the same results as the same run loaded as lists."

import random
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace

import pytest

from crmeval.cli.run import lost_verdicts, mute_judges, silent_systems
from crmeval.core.records import Response, Sample, Score, Usage
from crmeval.metrics.accuracy import CRITERIA
from crmeval.pages import report, samples
from crmeval.pages.compare import compare
from crmeval.pages.edition import make_edition
from crmeval.pages.gate import gate
from crmeval.pages.gate_policy import make_gate_policy
from crmeval.pages.leaderboard import leaderboard
from crmeval.pages.public_run import public_run
from crmeval.pages.publish import edition_files
from crmeval.pages.report import report_html, report_pages, shown_part, write_report
from crmeval.pages.scored_answers import samples_in, scored_answers
from crmeval.pages.site_settings import SiteSettings
from crmeval.pages.slices import slice_board
from crmeval.pages.tables import unpack
from crmeval.runs.folder import Run, open_run, write_run
from crmeval.tasks.use_cases import get_use_case
from crmeval.validation.run_agreement import figures_of, run_agreement

CASES = ("service_call_summary", "sales_email_generation", "service_email_summary")
BARE = {"created": "", "samples": {}, "clients": [], "judge": {}, "scoring": ""}
CHECKED = [{"kind": "not checked", "about": "instruction", "text": "be kind"}, {"kind": "noted"}]


def exact(value):
    "Return a record with all its shown fields; its own `repr` is rounded for a reader."
    if is_dataclass(value):
        return [
            type(value).__name__,
            *([f.name, exact(getattr(value, f.name))] for f in fields(value) if f.repr),
        ]
    if isinstance(value, Mapping):
        return [[exact(k), exact(v)] for k, v in value.items()]
    return list(map(exact, value)) if isinstance(value, (list, tuple)) else repr(value)


def asked_samples(rng):
    samples = []
    for i in range(rng.randint(2, 9)):
        cluster = rng.choice([None, "s0", "talk"])
        case = rng.choice(CASES)
        inputs = {name: f"Text {i}" for name in get_use_case(case).inputs}
        samples.append(Sample(f"s{i}", case, inputs, cluster=cluster, tags={"region": "ab"[i % 2]}))
    twins = [replace(s, perturbation="gender") for s in samples[:1]] if rng.random() < 0.5 else []
    return [*samples, *twins]


def response_to(sample, client, repeat, rng):
    status = rng.choice(["ok", "ok", "ok", "api_error", "refused", "truncated"])
    usage = rng.choice([Usage(), Usage(500, 20), Usage(7, 8, 2, True), Usage(calls=0)])
    text = "An answer." if status in ("ok", "truncated") else None
    times = {"latency_s": rng.choice([None, rng.random()]), "cached": rng.random() < 0.2}
    key = {"use_case": sample.use_case, "perturbation": sample.perturbation, "repeat": repeat}
    return Response(sample.id, client, text, status, usage=usage, **times, **key)


def scores_of(response, rng):
    key = {k: getattr(response, k) for k in ("sample_id", "client", "use_case", "perturbation", "repeat")}
    for rater, method in (("x", "auto"), ("y", "auto"), ("ann", "manual"), ("bob", "manual")):
        for metric in (*CRITERIA, "accuracy"):
            if rng.random() < (0.9 if method == "auto" else 0.4):
                lost = rng.random() < 0.2
                points = None if lost else rng.choice([1, 2, 3.5, 4])
                status = "undefined" if lost else "ok"
                yield Score(
                    metric, points, status=status, evidence=CHECKED, rater=rater, method=method, **key
                )


@pytest.fixture(params=range(6))
def both(request, tmp_path):
    "The same run as lists and in tables."
    rng = random.Random(request.param)
    samples, repeats = asked_samples(rng), rng.randint(1, 2)
    responses = [
        response_to(s, c, k, rng) for s in samples for c in ("openai:gpt-4o", "m:b") for k in range(repeats)
    ]
    scores = [score for r in responses for score in scores_of(r, rng)]
    write_run(Run(tmp_path, dict(BARE), samples, responses, scores))
    large = open_run(tmp_path, large=1)
    assert large.in_tables
    return open_run(tmp_path), large


def test_a_leaderboard_is_the_same(both):
    small, large = (list(leaderboard(run, by="all")) for run in both)
    assert small == large and small


def test_groups_and_comparisons_are_the_same(both):
    small, large = both
    assert slice_board(small, ["region"]).to_dicts() == slice_board(large, ["region"]).to_dicts()
    options = {"client_a": "openai:gpt-4o", "client_b": "m:b", "judge": "x", "slices": ["region"]}
    a, b = (compare(run, **options) for run in both)
    assert exact(a) == exact(b) and str(a) == str(b)
    assert list(a.pairs) == list(b.pairs) and len(a.pairs) == a.n
    few = compare(large, **options, most=2)
    assert list(few.pairs) == list(a.pairs[:2]) and few.n == a.n


POLICY = make_gate_policy(
    {
        "samples": 2,
        "rules": [
            {"metric": "accuracy", "may_fall": 0.1, "at_least": 3},
            {"metric": "conciseness", "may_fall": 0.3, "use_case": "service_call_summary"},
            {"metric": "seconds", "may_rise": 0.2, "at_most": 0.4},
            {"metric": "usd_per_1000", "may_rise": "1 %"},
            {"metric": "unscored", "at_most": "5 %"},
            {"metric": "fairness", "may_fall": 20},
            {"metric": "trust", "at_least": 90},
        ],
    }
)


def test_a_gate_is_the_same(both):
    "With one run and with two, as lists and in tables, including the samples that argue against a release."
    small, large = both
    cases = {r.use_case for r in small.responses}
    rules = [r for r in POLICY.rules if r.use_case is None or get_use_case(r.use_case).id in cases]
    options = {"policy": replace(POLICY, rules=rules), "client": "openai:gpt-4o", "base_client": "m:b"}
    found = [gate(a, b, **options) for a in both for b in both]
    assert all(exact(g) == exact(found[0]) for g in found) and len(found[0].verdicts) >= 6
    assert gate(large, large, **options, judge="y") == gate(small, small, **options, judge="y")


def test_what_failed_is_the_same(both):
    small, large = both
    for function in (silent_systems, mute_judges, lost_verdicts):
        assert function(small) == function(large)


def lowest(run):
    "Return (system, use case, judge, metric) -> lowest points."
    found = {}
    for s in run.scores:
        if s.method == "auto" and s.points is not None and not s.perturbation:
            key = s.client, s.use_case, s.rater, s.metric
            found[key] = min(s.points, found.get(key, 9))
    return found


def test_a_part_holds_the_lowest_of_all(both):
    _, large = both
    part = shown_part(large, 1)
    assert not part.in_tables and lowest(part) == lowest(large)


def test_a_report_is_the_same_page(both):
    "The whole page: spread, paired differences, speed, groups, losses, examples."
    small, large = (replace(run, manifest=replace(run.manifest, plan={"slices": ["region"]})) for run in both)
    assert report_html(large) == report_html(small)


@pytest.mark.parametrize(("both", "texts"), [(0, "none"), (3, "all")], indirect=["both"])
def test_what_is_published_is_the_same(both, texts):
    "Every page, with numbered IDs and no texts, or with both."
    settings = SiteSettings("ACME", "bench@acme.example", "CC BY 4.0", samples=texts)
    a, b = (make_edition([run], settings, edition="1") for run in both)
    assert b == a and b.pages == a.pages and len(a.pages) >= 5
    assert edition_files(b, settings) == edition_files(a, settings)
    public = [public_run(run, "x", texts) for run in both]
    assert public[1].in_tables and in_words(public[1]) == in_words(public[0])


def in_words(run):
    return [list(map(str, rows)) for rows in (run.samples, run.responses, run.scores)]


def test_agreement_with_people_is_the_same(both):
    "Also for judges that scored only other samples, and for a human scale of its own."
    small, large = both
    options = {"slices": ["region"], "n_resamples": 20}
    found = []
    for run in both:
        try:
            found.append(figures_of(run_agreement(run, **options)))
        except ValueError as e:
            found.append(str(e))
    assert found[0] == found[1] and found[0]


@pytest.mark.parametrize("seed", range(4))
def test_agreement_counts_what_nobody_rated(seed, tmp_path):
    rng = random.Random(seed)
    samples = [
        Sample(f"s{i}", "service_call_summary", {"transcript": "x"}, tags={"region": "ab"[i % 2]})
        for i in range(30)
    ]
    responses = [response_to(s, c, 0, rng) for s in samples for c in ("m:a", "m:b")]
    scores = []
    for n, r in enumerate(responses):
        key = {k: getattr(r, k) for k in ("sample_id", "client", "use_case", "perturbation", "repeat")}
        raters = [("z", "auto"), ("x", "auto")] if n > 20 else [("x", "auto")]
        raters += [("ann", "manual"), ("bob", "manual")] if n < 12 else []
        for rater, method in raters:
            for metric in ("csat", *CRITERIA) if method == "manual" else (*CRITERIA, "accuracy"):
                points = rng.choice([1, 2.5, 4, None])
                status = "ok" if points else "undefined"
                scores.append(Score(metric, points, status=status, rater=rater, method=method, **key))
    write_run(Run(tmp_path, dict(BARE), samples, responses, scores))
    runs = open_run(tmp_path), open_run(tmp_path, large=1)
    options = {"slices": ["region"], "n_resamples": 20}
    a, b = (run_agreement(run, **options) for run in runs)
    assert exact(a) == exact(b)
    assert max(r.unrated for r in a.table.rows if r.rater == "x") > 30
    assert {r.judge for r in a.means} == {"x"} or len(a.means) > 8


def test_scores_that_do_not_count_are_told_in_both(tmp_path):
    "Scores of missing responses and duplicates are ignored: the agreement is the same as without them."
    rng = random.Random(5)
    samples = [Sample(f"s{i}", "service_call_summary", {"transcript": "x"}) for i in range(12)]
    responses = [response_to(s, "m:a", 0, rng) for s in samples]
    scores = [s for r in responses for s in scores_of(r, rng)]
    first = [replace(s, points=1.0, fraction=None, status="ok") for s in scores if s.rater in ("x", "ann")][
        ::3
    ]
    strays = [replace(s, client="gone") for s in scores[::5]] + [replace(s, repeat=7) for s in scores[::7]]
    found = []
    for name, rows in (("clean", scores), ("odd", [*strays, *first, *scores])):
        write_run(Run(tmp_path / name, dict(BARE), samples, responses, rows))
        for large in (None, 1):
            found.append(run_agreement(open_run(tmp_path / name, large=large), n_resamples=20))
    clean, odd = found[:2], found[2:]
    assert exact(clean[0]) == exact(clean[1]) and not clean[0].left_out
    assert exact(odd[0]) == exact(odd[1])
    assert odd[1].left_out == {"no response": len(strays), "scored again": len(first)}
    assert f"not counted: {len(strays)} scores of responses that are not in the run" in str(odd[0])
    by_name = [sorted(map(repr, figures_of(f))) for f in (clean[0], odd[0])]
    assert by_name[0] == by_name[1]


@pytest.mark.parametrize("both", (2, 4), indirect=True)
def test_all_samples_stand_on_the_same_pages(both, monkeypatch):
    "A run in tables is read in chunks; page boundaries are the same."
    small, large = both
    monkeypatch.setattr(samples, "CHUNK", 4)
    options = {"file_bytes": 400, "prices": {"m:b": (1.0, 2.0)}}
    pages = report_pages(large, samples="all", **options)
    assert pages == report_pages(small, **options) and len(pages) > 1


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_the_same_in_the_same_order(seed, tmp_path):
    "Several judges in any order, people, repeats, twins, probes, and samples without answers."
    rng = random.Random(seed)
    run_samples, repeats = asked_samples(rng), rng.randint(1, 2)
    run_samples += [
        Sample("probe", "safety_probe", {"prompt": "x"}),
        Sample("idle", CASES[0], {"transcript": "x"}),
    ]
    rng.shuffle(run_samples)
    responses = [
        response_to(s, c, k, rng) for s in run_samples[:-1] for c in ("m:b", "m:a") for k in range(repeats)
    ]
    responses.append(Response("gone", "m:a", "x", use_case=CASES[0]))
    rng.shuffle(responses)
    scores = [s for r in responses for s in scores_of(r, rng) if rng.random() < 0.4]
    scores += [s for r in responses[:3] for s in scores_of(replace(r, sample_id="lost"), rng)]
    rng.shuffle(scores)
    write_run(Run(tmp_path, dict(BARE), run_samples, responses, scores))
    small, large = (scored_answers(open_run(tmp_path, large=n)) for n in (None, 1))
    assert list(large) == small and samples_in(large) == samples_in(small)
    assert all(list(large[i : i + 3]) == small[i : i + 3] for i in range(0, len(small), 2))


def test_pages_of_all_samples_are_written_one_by_one(tmp_path, monkeypatch):
    "The first page is written last and links to the lowest score of all; stale pages are removed."
    case, key = "service_call_summary", {"client": "m:b", "use_case": "service_call_summary"}
    run_samples = [Sample(f"s{i:03}", case, {"transcript": f"Call {i}."}) for i in range(300)]
    responses = [Response(s.id, text="An answer.", **key) for s in run_samples]
    scores = [
        Score("accuracy", 1.0 if s.id == "s222" else 3.0, rater="x", sample_id=s.id, **key)
        for s in run_samples
    ]
    write_run(Run(tmp_path, dict(BARE), run_samples, responses, scores))
    large, written, real = open_run(tmp_path, large=1), [], report.sample_files
    monkeypatch.setattr(report, "sample_files", lambda run, **options: real(run, **options, per_file=12))
    monkeypatch.setattr(report, "write_page", lambda path, text: written.append(path) or put(path, text))
    page = write_report(large, tmp_path / "r.html", samples="all")
    further = [tmp_path / f"r-{k}.html" for k in range(2, 26)]
    assert written == [*further, page] and [ids_on(p) for p in written[-2:]] == [NAMES[-12:], NAMES[:12]]
    first, holds = page.read_text(encoding="utf-8"), next(p for p in further if "s222" in ids_on(p))
    assert "All 25 files" in first and all(f'href="{p.name}#all-samples"' in first for p in further)
    assert f'href="{holds.name}#samples?by=accuracy&amp;with=1">accuracy</a>' in first
    assert re.search(rf"{holds.name}#samples\?0=0&amp;3=0&amp;by=accuracy&amp;with=1", first)  # the figure
    left = write_report(large, page, samples=13).parent.glob("r-*.html")
    assert 0 < len(list(left)) < len(further)


NAMES = [f"s{i:03}" for i in range(300)]


def put(path, text):
    path.write_text(text, encoding="utf-8")


def ids_on(page):
    "Return the IDs of the samples in the rows of a page."
    matches = re.findall(r'cm-data">([^<]*)<', page.read_text(encoding="utf-8"))
    return list(
        dict.fromkeys(re.findall(r"\bs\d{3}\b", str([row[0] for row in unpack(matches[-1])["rows"]])))
    )
