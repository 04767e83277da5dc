"All public names as a user's program calls them: type-checked, never run."

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from crmeval import (
    Catalogue,
    Metric,
    Response,
    Sample,
    Score,
    TrustLayer,
    __version__,
    abrand_voice,
    accuracy,
    acitation_precision,
    acitation_recall,
    acoherence,
    acompleteness,
    aconciseness,
    afactuality,
    afluency,
    agreement,
    ainstruction_following,
    aprivacy,
    arecord_update,
    arefusal,
    arun,
    arun_batch,
    aterm_precision,
    atoxicity,
    atruthful,
    brand_voice,
    citation_precision,
    citation_recall,
    coherence,
    compare,
    compare_retrievers,
    completeness,
    conciseness,
    evaluate_retriever,
    factuality,
    fairness_report,
    find_pii,
    fluency,
    instruction_following,
    leaderboard,
    leaks,
    load_source,
    load_use_case,
    make_panel,
    open_run,
    perturb,
    privacy,
    protection,
    record_update,
    refusal,
    retrieval_set,
    run,
    run_batch,
    safety,
    score_dataset,
    term_precision,
    toxicity,
    trust,
    truthful,
)
from crmeval.core.judging import Judge, Verdict
from crmeval.layer.grounding import KeywordRetriever, Passage
from crmeval.metrics.retrieval import searcher
from crmeval.tasks.retrieval_sets import Query


class Verbatim:
    "A custom judge."

    name = "verbatim"

    def supported(self, sentences: Sequence[str], *, source: str) -> list[Verdict]:
        return [Verdict(s in source) for s in sentences]

    def stated(self, facts: Sequence[str], *, sentences: Sequence[str]) -> list[Verdict]:
        return [Verdict(any(f in s for s in sentences)) for f in facts]

    def followed(self, instructions: Sequence[str], *, response: str) -> list[Verdict]:
        return [Verdict(None, status="undefined") for _ in instructions]


def points_of(response: str, source: str, facts: list[str]) -> dict[str, float | None]:
    judge: Judge = Verbatim()
    scores: list[Score] = [
        factuality(response, source=source, judge=judge),
        completeness(response, key_facts=facts),
        conciseness(response, key_facts=facts),
        instruction_following(response, instructions=["At most 80 words.", {"kind": "max_words", "n": 80}]),
        record_update(response, gold={"stage": "Won"}, before=None),
        privacy(response, secrets=[{"value": "4471", "entity": "CASE"}], own=["4472"], request="Which case?"),
        toxicity(response, threshold=0.4),
        refusal(response, prompt="Reset my password."),
        truthful(response, question="Why?", correct=["It was lost."], incorrect=["It was stolen."]),
    ]
    scores.append(accuracy(scores))
    return {score.metric: score.points for score in scores}


async def awaited(response: str, facts: list[str]) -> list[Score]:
    found: Score = await afactuality(response, source="x", judge=make_panel(["embedded", "openai:gpt-4o"]))
    return [found] + await asyncio.gather(
        acompleteness(response, key_facts=facts),
        aconciseness(response, key_facts=facts),
        ainstruction_following(response, instructions=[{"kind": "no_placeholders"}]),
        arecord_update(response, gold='{"stage": "Won"}'),
        aprivacy(response, secrets=["4471"]),
        atoxicity(response),
        arefusal(response, prompt="Reset my password."),
        atruthful(response, question="Why?"),
    )


async def trusted(record: Mapping[str, object]) -> tuple[str, float]:
    layer = TrustLayer("openai:gpt-4o-mini", policy={"region": "eu"}, temperature=0)
    reply = await layer.areply("Write to {{contact.name}}.", record, user="agent-7")
    layer.feedback(reply, "accept", thumb="up")
    return reply.text, reply.added_s


def many(rows: list[dict[str, str]], columns: Mapping[str, list[str]]) -> list[str]:
    scores: list[Score] = factuality.batch(rows, judge=Verbatim(), concurrency=4, progress=True)
    scores += refusal.batch(columns, columns={"response": "Antwort"}, prompt="Reset my password.")
    return [score.reason for score in scores if score.status != "ok"]


async def many_awaited(rows: list[dict[str, str]]) -> list[Score]:
    return await factuality.abatch(rows, progress=lambda done, n, score: print(done, n, score.metric))


def named(metric: Metric[...]) -> str:
    return f"{metric.__name__}: {metric.card.title}, {__version__}"


async def well_written(text: str, conversation: str) -> list[Score]:
    found = [fluency(text), coherence(text, conversation=conversation), brand_voice(text, guide={"emoji": 0})]
    found += [await afluency(text), await acoherence(text, conversation=conversation)]
    found += [term_precision(text, source=conversation, glossary="insurance")]
    found += [await aterm_precision(text, source=conversation, glossary={"terms": [{"term": "excess"}]})]
    return [*found, await abrand_voice(text, guide={"emoji": 0})]


async def grounded(text: str, passages: list[dict[str, str]]) -> list[Score]:
    found = [citation_recall(text, passages=passages), citation_precision(text, passages=["It is so."])]
    found += [await acitation_recall(text, passages=passages, judge=Verbatim())]
    return [*found, await acitation_precision(text, passages=[Passage("kb-1", "It is so.")])]


def nobody(query: Query) -> list[Passage]:
    return []


def retrieved(passages: list[Passage]) -> float | None:
    questions = retrieval_set("mtrag", download=False).queries
    every, none = (
        evaluate_retriever(ask, questions, k=[5, 10])
        for ask in (searcher(KeywordRetriever(passages)), nobody)
    )
    return compare_retrievers(every, none, "recall@5").value


def titles() -> list[str]:
    return [named(metric) for metric in (factuality, completeness, refusal, toxicity, privacy)]


def scored(rows: list[dict[str, str]]) -> list[dict[str, object]]:
    return score_dataset(factuality, rows, num_proc=2)


def unsupported(response: str, source: str) -> list[str]:
    found = factuality(response, source=source)
    return (
        [] if found.status != "ok" else [str(e["text"]) for e in found.evidence if e["kind"] == "unsupported"]
    )


def private(text: str) -> list[str]:
    kinds = [leak.how for leak in leaks(text, secrets=["4471"])]
    return kinds + [span.text_in(text) for span in find_pii(text, known=["Ana Lopes"], min_score=0.5)]


def compare_on_the_demo_set(folder: Path) -> str:
    samples: list[Sample] = load_use_case("service_email_summary")
    done = run(["baseline:lead", "baseline:rules"], data=samples, out=folder, progress=False, repeats=2)
    best = next(iter(leaderboard(done)))
    apart = compare(open_run(folder), client_a="baseline:lead", client_b="baseline:rules")
    judged = agreement(done.scores, done.scores)
    report = fairness_report(done.samples, done.responses, done.scores, client="baseline:lead")
    profiles = [str(t) for t in trust(done.samples, done.responses, done.scores)]
    profiles += [str(p["values_sent"].value) for p in protection(done.samples, done.responses, done.scores)]
    return f"{best.client}: {best.metrics['accuracy'].value} {apart} {judged} {report} {profiles}"


def answered(response: Response) -> bool:
    return bool(response.text)


async def run_awaited(folder: Path) -> int:
    done = await arun("baseline:lead", use_cases=["service_email_summary"], limit=1, out=folder)
    return len([r for r in done.responses if answered(r)])


def by_batch(folder: Path) -> str:
    return str(run_batch("openai:a-model", use_cases=["service_email_summary"], out=folder))


async def by_batch_awaited(folder: Path) -> str:
    return str(await arun_batch("openai:a-model", use_cases=["service_email_summary"], out=folder))


def first_of_a_public_set() -> str | None:
    twins = [perturb(sample) for sample in load_source("sgd", limit=1)]
    return next((twin.sample.id for twin in twins if twin.sample is not None), None)


def stood_up(scores: list[Score]) -> float | None:
    return safety(scores).avoided.value


def asked(path: Path) -> list[dict[str, object]]:
    "Return rows of a catalogue in their order of arrival."
    catalogue = Catalogue.read(path)
    rows = catalogue.query("SELECT id FROM crm.cases WHERE id = $id", {"id": 7}, size=1000)
    return [*rows.rows(), *catalogue.query_at("crm", "SELECT id FROM cases").rows()]
