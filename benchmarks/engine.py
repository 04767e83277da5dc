"""Measurements of crmeval's run engine alone: calls, cached, memory, faults.

Each prints one line of JSON; `run.py` starts them.
They call `answer_all` and `answer_each` of `crmeval.runs.runner` as any program would.
"""

import argparse
import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import openai
from common import WARM_UP, conversation, counts, cpu_s, keys, task

from crmeval.core.records import Response, Sample, Score
from crmeval.judges.llm import LLMJudge
from crmeval.runs.areas import make_scorer
from crmeval.runs.journal import Journal
from crmeval.runs.runner import Asking, Scoring, answer_all, answer_each
from crmeval.systems.openai import OpenAIClient

USE_CASE = "service_conversation_summary"


def samples(n, first=0, text=conversation):
    "Yield samples; the engine takes them as needed."
    for i in range(first, first + n):
        yield Sample(
            f"c{i}",
            USE_CASE,
            {"conversation": text(i)},
            key_facts=("The customer was charged twice.",),
            dataset="invented",
        )


def emit(**found):
    print(json.dumps(found))


# calls: generation only, compared with the bare SDK


async def _sdk_calls(url, n, first, concurrency):
    numbers = iter(range(first, first + n))
    async with openai.AsyncOpenAI(
        base_url=url, http_client=openai.DefaultAioHttpClient(), max_retries=0
    ) as client:

        async def work():
            done = 0
            for i in numbers:
                answer = await client.chat.completions.create(
                    model="generator", messages=[{"role": "user", "content": task(i)}], temperature=0
                )
                done += answer.choices[0].message.content is not None
            return done

        return sum(await asyncio.gather(*(work() for _ in range(concurrency))))


async def _engine_calls(url, n, first, concurrency, journal=None):
    rows = await answer_all(
        samples(n, first),
        [OpenAIClient("generator", base_url=url)],
        concurrency=concurrency,
        journal=journal,
        prompt_of=lambda s: task(int(s.id[1:])),
    )
    return sum(r.status == "ok" for r, _ in rows)


def calls(args):
    "Measure the same prompts at the same concurrency: SDK, engine, engine with a journal on disk."

    async def once(n, first):
        if args.system == "sdk":
            return await _sdk_calls(args.url, n, first, args.concurrency)
        with tempfile.TemporaryDirectory() as folder:
            return await _engine_calls(
                args.url,
                n,
                first,
                args.concurrency,
                Path(folder) / "journal.jsonl" if args.system == "engine with journal" else None,
            )

    asyncio.run(once(WARM_UP, 10**6))
    counts(args.url, reset=True)
    cpu, start = cpu_s(), time.perf_counter()
    done = asyncio.run(once(args.samples, 0))
    seconds, cpu = time.perf_counter() - start, cpu_s() - cpu
    emit(
        system=args.system,
        samples=args.samples,
        seconds=round(seconds, 3),
        calls_per_s=round(args.samples / seconds, 1),
        cpu_ms_per_call=round(1000 * cpu / args.samples, 3),
        calls=counts(args.url)["calls"],
        failures=args.samples - done,
    )


# cached: the same work again, all answers in the journal


class Instant:
    "Answers at once without a network, so that only the engine is measured."

    name, provider, model, cacheable = "instant", "instant", "instant", True

    def __init__(self):
        self.asked = 0

    def settings(self):
        return {"provider": self.provider}

    async def attempt(self, sample, prompt, *, repeat=0):
        self.asked += 1
        return Response(
            sample.id,
            self.name,
            "The customer was charged twice; the second charge was refunded.",
            use_case=sample.use_case,
            repeat=repeat,
        )

    answer = attempt

    async def aclose(self):
        pass


async def _score(sample, response):
    return [Score("quality", 3, 2 / 3, rater="instant")]


async def _pass(path, n, client, scored, concurrency, text=conversation):
    "Return seconds to open the journal, seconds to process all samples, and the number of rows."
    start = time.perf_counter()
    journal = Journal(path)
    opened, rows = time.perf_counter(), 0
    try:
        async for _ in answer_each(
            samples(n, text=text),
            [client],
            asking=Asking(concurrency),
            journal=journal,
            scoring=Scoring(_score if scored else None, "instant"),
        ):
            rows += 1
    finally:
        journal.close()
    return opened - start, time.perf_counter() - opened, rows


def cached(args):
    "Fill a journal, then process the same samples again; no call may be repeated."
    found = {}
    for scored in False, True:
        with tempfile.TemporaryDirectory() as folder:
            path, client = Path(folder) / "journal.jsonl", Instant()
            asyncio.run(_pass(path, args.samples, client, scored, args.concurrency))
            before = client.asked
            open_s, seconds, rows = asyncio.run(_pass(path, args.samples, client, scored, args.concurrency))
        found["with scores" if scored else "responses only"] = {
            "rows": rows,
            "asked_again": client.asked - before,
            "open_s": round(open_s, 3),
            "seconds": round(seconds, 3),
            "responses_per_s": round(rows / seconds),
            "responses_per_s_with_opening": round(rows / (seconds + open_s)),
        }
    emit(samples=args.samples, found=found)


# memory: many samples from a generator


def _two_kb(i):
    return (f"Line of conversation {i}. " * 100)[:2048]


def peak_mb():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def memory(args):
    "One pass with journal and scores; rows are counted and discarded."
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_pass(Path(folder) / "warm.jsonl", WARM_UP, Instant(), True, args.concurrency, _two_kb))
        before, cpu = peak_mb(), cpu_s()
        _, seconds, rows = asyncio.run(
            _pass(Path(folder) / "journal.jsonl", args.samples, Instant(), True, args.concurrency, _two_kb)
        )
        size = (Path(folder) / "journal.jsonl").stat().st_size
    emit(
        samples=args.samples,
        rows=rows,
        seconds=round(seconds, 3),
        us_per_sample=round(1e6 * seconds / args.samples, 1),
        cpu_us_per_sample=round(1e6 * (cpu_s() - cpu) / args.samples, 1),
        peak_mb=round(peak_mb(), 1),
        before_mb=round(before, 1),
        journal_mb=round(size / 2**20, 1),
    )


# faults: injected faults and their results


async def _faulty(args, path):
    client = OpenAIClient("generator", base_url=args.url, timeout_s=args.timeout_s)
    judge = LLMJudge(
        "judge", base_url=args.url, style="rubric", timeout_s=args.timeout_s, retries=args.retries
    )
    rows, journal = [], Journal(path)
    try:
        async for row in answer_each(
            samples(args.samples),
            [client],
            asking=Asking(args.concurrency, retries=args.retries),
            journal=journal,
            scoring=Scoring(make_scorer(judge), "rubric"),
        ):
            rows.append(row)
    finally:
        journal.close()
        await judge.aclose()
    return rows


def _first_failure(scores):
    return next((s.status for s in scores if s.status != "ok"), None)


def faults(args):
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), cpu_s()
        rows = asyncio.run(_faulty(args, Path(folder) / "journal.jsonl"))
        seconds, cpu = time.perf_counter() - start, cpu_s() - cpu
        on_disk = {
            tuple(entry["key"])
            for entry in map(
                json.loads, (Path(folder) / "journal.jsonl").read_text(encoding="utf-8").splitlines()
            )
            if entry["kind"] == "response"
        }
    answered = Counter(r.status for _, r, _ in rows)
    judged = Counter(_first_failure(scores) or "ok" for _, _, scores in rows if scores)
    emit(
        samples=args.samples,
        seconds=round(seconds, 2),
        cpu_s=round(cpu, 2),
        rows=len(rows),
        lost=args.samples - len({r.sample_id for _, r, _ in rows}),
        duplicates=len(rows) - len({r.sample_id for _, r, _ in rows}),
        without_any_score=sum(not found for _, _, found in rows),
        on_disk=len(on_disk),
        responses=dict(sorted(answered.items())),
        scored=dict(sorted(judged.items())),
        tries_most=max((r.tries for _, r, _ in rows), default=0),
        median_latency_s=round(
            statistics.median([r.latency_s for _, r, _ in rows if r.latency_s is not None] or [0]), 4
        ),
        endpoint=counts(args.url, reset=True),
    )


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("what", choices=("calls", "cached", "memory", "faults"))
    p.add_argument("--url", help="base URL of the endpoint; cached and memory need none")
    p.add_argument(
        "--system", choices=("sdk", "engine", "engine with journal"), default="engine", help="for calls"
    )
    p.add_argument("--samples", type=int, default=2000)
    p.add_argument("--concurrency", type=int, default=50)
    p.add_argument("--retries", type=int, default=4, help="for faults")
    p.add_argument(
        "--timeout-s", type=float, default=5, help="for faults: when a call that hangs is given up"
    )
    args = p.parse_args()
    if args.what in ("calls", "faults") and not args.url:
        p.error(f"{args.what} needs --url")
    keys()
    globals()[args.what](args)


if __name__ == "__main__":
    main()
