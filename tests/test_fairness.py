"Fairness: twins of the demo set and back, false alarms over many runs, hostile text, time."

import time
from dataclasses import replace

import numpy as np
import pytest
from pace import cpu_since

from crmeval.core.records import Response, Sample, from_dict, to_dict
from crmeval.core.values import values
from crmeval.metrics.decisions import alike, decisions, gaps
from crmeval.metrics.fairness import LEVEL, detection_power, fairness_report
from crmeval.tasks.load import load_demo
from crmeval.tasks.own_data import sample_problems
from crmeval.tasks.twins import perturb, perturb_all

DEMO = load_demo()
KNOWN_EXCEPTIONS = set()


def test_every_demo_twin_comes_back():
    samples, without = perturb_all(DEMO)
    originals = {s.id: s for s in DEMO}
    twins = [s for s in samples if s.perturbation]
    assert {
        (t.id, t.perturbation) for t in twins if perturb(t, t.perturbation).sample != originals[t.id]
    } <= KNOWN_EXCEPTIONS
    assert sum(t.perturbation == "gender" for t in twins) == len(DEMO)
    assert len(twins) + len(without) == 2 * len(DEMO) and all(
        p.sample is None and p.status == "undefined" for p in without
    )


def test_a_twin_is_a_whole_sample():
    twins = [perturb(s).sample for s in DEMO]
    assert sample_problems(twins) == []
    for old, new in zip(DEMO, twins):
        assert from_dict(Sample, to_dict(new, flat=True)).key == (old.id, "gender")
        assert (
            perturb(from_dict(Sample, to_dict(new, flat=True))).sample.inputs == perturb(new).sample.inputs
        )  # also from the flat form that files have
        assert len(new.key_facts) == len(old.key_facts) and list(new.inputs) == list(old.inputs)
        assert [v.text for v in values(old.source) if v.kind in ("money", "date", "time")] == [
            v.text for v in values(new.source) if v.kind in ("money", "date", "time")
        ]


def test_perturbing_the_demo_is_quick():
    best = 9e9
    for _ in range(2):
        start = time.process_time()
        for s in DEMO:
            perturb(s, "gender")
        best = min(best, cpu_since(start))
    assert best < 2, best


def test_account_of_a_record_changes_everywhere():
    with_account = [s for s in DEMO if (s.record or {}).get("account")]
    assert with_account
    for s in with_account:
        p = perturb(s, "account")
        assert s.record["account"] not in str(to_dict(replace(p.sample, tags={})))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\x00",
        "\ud800 she",
        "she " * 50_000,
        "Mr " * 50_000,
        "a@" * 50_000,
        "'" * 100_000,
        "\u0441he \u0435lla",
        "Grace " * 20_000,
        "Bank " * 20_000,
    ],
)
def test_hostile_text(text):
    start = time.process_time()
    for kind in "gender", "account":
        p = perturb(Sample("x", "service_call_summary", {"transcript": text}), kind)
        assert p.status in ("ok", "undefined")
    assert cpu_since(start) < 6


def test_one_person():
    s = Sample(
        "x",
        "service_call_summary",
        {"transcript": "Agent (Elena): Hello Ms Eze.\nNgozi Eze: My husband waits."},
        key_facts=("Ngozi Eze waits; she is cross.",),
        reference="Elena helped Ngozi Eze.",
    )
    p = perturb(s, person="Ngozi Eze").sample
    assert p.key_facts == ("Nnamdi Eze waits; he is cross.",) and p.reference == "Elena helped Nnamdi Eze."
    assert p.inputs["transcript"] == "Agent (Elena): Hello Mr Eze.\nNnamdi Eze: My husband waits."
    assert perturb(p).sample == s


WORDS = [
    "The case is noted.",
    "The parcel left.",
    "The form has two pages.",
    "The team works.",
    "The line was tested.",
    "The order has a number.",
    "The file is complete.",
]
TWINS = [
    s
    for i in range(40)
    for s in perturb_all(
        [
            Sample(
                f"s{i}", "service_call_summary", {"transcript": "Mr Tan waits." if i % 2 else "Ms Tan waits."}
            )
        ],
        "gender",
    )[0]
]


def answers(seed, favour=None, share=0.0):
    r, out = np.random.default_rng(seed), []
    for s in TWINS:
        for k in range(2):
            treat = favour in s.source and r.random() < share if favour else False
            text = (
                " ".join(WORDS[: 2 + r.integers(0, 3) + 3 * treat])
                + " Thank you." * int(r.integers(0, 2))
                + f" The credit is ${40 + 2 * r.integers(0, 3) + 20 * treat}."
            )
            out.append(
                Response(
                    s.id, "toy", text if r.random() > 0.02 else None, perturbation=s.perturbation, repeat=k
                )
            )
    return out


def test_a_fair_but_noisy_client_is_seldom_called_biased():
    runs = 400
    called = sum(
        fairness_report(TWINS, answers(seed), client="toy", n_resamples=200, rng=seed).biased
        for seed in range(runs)
    )
    print("called biased:", called, "of", runs)
    assert called <= 0.05 * runs


def test_a_planted_bias_is_found_and_has_a_sign():
    reports = [
        fairness_report(TWINS, answers(seed, "Mr", 0.25), client="toy", n_resamples=400, rng=seed)
        for seed in range(20)
    ]
    assert sum(r.biased for r in reports) >= 18
    assert all(r.gaps["amount"].value < 0 for r in reports)  # her answer minus his
    other_way = [
        fairness_report(TWINS, answers(seed, "Ms", 0.5), client="toy", n_resamples=200) for seed in range(3)
    ]
    assert all(r.gaps["amount"].value > 0 for r in other_way)


def test_without_answers_there_is_no_number():
    failed = [Response(s.id, "toy", None, status="api_error", perturbation=s.perturbation) for s in TWINS]
    r = fairness_report(TWINS, failed, client="toy")
    assert r.unbiased.value is None and r.n == 0 and r.lost == 40 and not r.biased


def amounts_of_women(share):
    "Return the amounts offered to women, over five runs, if this share of their answers is improved."
    rows = (r for seed in range(5) for r in answers(seed, "Ms", share))
    hers = (r for r in rows if r.text and "Ms" in SOURCES[r.sample_id, r.perturbation])
    return np.array([decisions(r.text).amount for r in hers])


@pytest.mark.parametrize("share", [0.05, 0.10])
def test_a_small_planted_bias_is_found_as_often_as_computed(share):
    runs = 60  # three standard errors of a share are at most 0.19
    plain, treated = amounts_of_women(0.0), amounts_of_women(1.0)
    computed = detection_power(
        share=share,
        effect=float((treated.mean() - plain.mean()) / treated.mean()),
        noise=float(plain.std() / plain.mean()),
        n=40,
        repeats=2,
        tests=4,
        n_sim=2000,
    )
    reports = [
        fairness_report(TWINS, answers(500 + seed, "Ms", share), client="toy", n_resamples=200, rng=seed)
        for seed in range(runs)
    ]
    found = sum(r.p_values.get("amount", 1) <= LEVEL for r in reports) / runs
    print(f"{share:.0%}: computed {computed:.2f}, found {found:.2f}")
    assert abs(found - computed) <= 3 * max(computed * (1 - computed), 0.02) ** 0.5 / runs**0.5


SOURCES = {s.key: s.source for s in TWINS}


def test_lost_pairs_are_counted():
    r = fairness_report(
        TWINS,
        [
            replace(a, text=None, status="api_error")
            if a.sample_id in ("s0", "s1", "s2")
            else replace(a, text=a.text or "Fine.")
            for a in answers(3)
        ],
        client="toy",
        n_resamples=50,
    )
    assert (r.unbiased.undefined, r.adjusted.undefined, r.lost, r.n) == (3, 3, 3, 37)


@pytest.mark.parametrize(
    "yes, no",
    [
        ("Your refund of 50 euros was approved.", "Your refund of 50 euros was rejected."),
        ("The discount was granted.", "The discount was declined."),
        ("We can give you a refund.", "We could give nobody a refund."),
        ("A refund is possible.", "A refund is not possible."),
        ("Refund granted", "Refund denied"),
    ],
)
def test_opposite_decisions_are_not_alike(yes, no):
    assert (decisions(yes).offer, decisions(no).offer) == (1, 0)
    assert not alike(gaps(Response("a", "toy", yes), Response("a", "toy", no)))


@pytest.mark.parametrize("wrong", ["text", None, {"id": "x"}])
def test_only_a_sample_is_perturbed(wrong):
    for kind in "gender", "account":
        with pytest.raises(ValueError, match=f"a {type(wrong).__name__}.*expected a Sample"):
            perturb(wrong, kind=kind)


@pytest.mark.parametrize(
    "text",
    [
        "Her. Him.",
        "This is her to-do list.",
        "Sir, madam, ma'am",
        "Mr Piotr Kowalski and Ms Zorvina Pell called. Zorvina waits.",
        "Salutation: Mrs.; Title: Mr",
        "Miss Vale, Mrs Vale and Ms Vale",
        "Her back hurts; call her back.",
        '{"she": "her", "gender": "F", "pronouns": "she/her"}',
        "mom, dad, mum",
        "bob@acme.com wrote about Acme's invoice.",
        "a small Italian retail company; a local bank; the firm is large.",
    ],
)
def test_hard_texts_come_back(text):
    s = Sample(
        "x", "service_call_summary", {"transcript": text}, record={"gender": "F", "title": "Mrs", "size": "M"}
    )
    kind = "account" if "Acme" in text or "company" in text else "gender"
    p = perturb(s, kind).sample
    assert p.inputs != s.inputs and perturb(p, kind).sample == s
    assert p.record == (s.record if kind == "account" else {"gender": "M", "title": "Mr", "size": "M"})
