"""Shared by all rows: the samples, the clock and the line of JSON.

Standard library only, since it runs in every environment.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import platform
import resource
import sys
import time
import urllib.request
from importlib.metadata import version

# untimed samples first: first calls import and compile
WARM_UP = 5

_CUSTOMER = (
    "I was charged twice for order {n}.",
    "The second charge is dated the {d}th.",
    "I already wrote about it and nobody answered.",
    "The card ends in {c}.",
    "I would like the money back, not a voucher.",
    "How long will that take?",
    "Please confirm it in writing.",
    "Thank you, that is all.",
)
_AGENT = (
    "I am sorry about that, let me open order {n}.",
    "I see both charges, the second on the {d}th was a mistake of ours.",
    "Your first message went to another team.",
    "I have the card ending in {c} here.",
    "The second charge is refunded to the card.",
    "It takes five working days.",
    "A confirmation is on its way.",
    "Have a good day.",
)


def conversation(i):
    "Return an invented service conversation of about 1 KB, different for each number."
    values = {"n": 100_000 + i, "d": i % 28 + 1, "c": 1000 + i * 7 % 9000}
    turns = [
        line.format(**values)
        for pair in zip(_CUSTOMER, _AGENT)
        for line in (f"Customer: {pair[0]}", f"Agent: {pair[1]}")
    ]
    return "\n".join(turns)


def task(i):
    return f"Summarise this service conversation in three sentences.\n\n{conversation(i)}"


QUESTION = "Does the summary state what the conversation says, completely and without anything invented?"
FORM = 'Reply with JSON only: {"reason": a sentence, "score": 0 to 10}'


def judge_prompt(i, answer):
    "Return the judge prompt of the bare clients; the frameworks use their own prompts."
    return f"{QUESTION}\n\nConversation:\n{conversation(i)}\n\nSummary:\n{answer}\n\n{FORM}"


def arguments(doc):
    p = argparse.ArgumentParser(description=doc)
    p.add_argument("--url", required=True, help="base URL of the endpoint, as it prints it")
    p.add_argument("--samples", type=int, default=500)
    p.add_argument("--concurrency", type=int, default=50, help="generations at once, and judge calls at once")
    return p.parse_args()


def counts(url, reset=False):
    "Return the endpoint's counts; `reset` sets them to 0 afterwards."
    address = url.removesuffix("/v1") + ("/reset" if reset else "/counts")
    with urllib.request.urlopen(
        urllib.request.Request(address, method="POST" if reset else "GET"), timeout=10
    ) as answer:
        return json.load(answer)


def cpu_s():
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


@contextlib.contextmanager
def quiet():
    "Suppress what a library prints, and show the end of it on failure."
    kept = io.StringIO()
    try:
        with contextlib.redirect_stdout(kept):
            yield
    except BaseException:
        print(kept.getvalue()[-4000:], file=sys.stderr)
        raise


def keys():
    "Set placeholder keys, and turn off the telemetry of every library."
    for name in "OPENAI_API_KEY", "LOCAL_MODEL_API_KEY":
        os.environ[name] = "no-key-needed"
    for name in "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID":
        os.environ.pop(name, None)
    os.environ.update(
        RAGAS_DO_NOT_TRACK="true",
        DEEPEVAL_TELEMETRY_OPT_OUT="1",
        DEEPEVAL_NO_INSPECT_PROMPT="1",
        ANONYMIZED_TELEMETRY="false",
        DO_NOT_TRACK="1",
        LANGSMITH_TRACING="false",
        LANGCHAIN_TRACING_V2="false",
    )


def row(doc, system, package, inside, work):
    """Warm up, measure, and print the row.

    `work(url, first, n, concurrency)` processes n samples from number `first`
    and returns the number that got an answer and a judgement.
    """
    args = arguments(doc)
    with quiet():
        work(args.url, 10**6, WARM_UP, args.concurrency)
        counts(args.url, reset=True)
        cpu, start = cpu_s(), time.perf_counter()
        judged = work(args.url, 0, args.samples, args.concurrency)
        seconds, cpu = time.perf_counter() - start, cpu_s() - cpu
    endpoint_counts = counts(args.url, reset=True)
    print(
        json.dumps(
            {
                "system": system,
                "package": package,
                "version": version(package),
                "python": platform.python_version(),
                "samples": args.samples,
                "seconds": round(seconds, 3),
                "samples_per_s": round(args.samples / seconds, 1),
                "cpu_s": round(cpu, 3),
                "calls": endpoint_counts["calls"],
                "generation_calls": endpoint_counts["generation"],
                "judge_calls": endpoint_counts["judge"],
                "most_generations_at_once": endpoint_counts["most_generations_at_once"],
                "most_judge_calls_at_once": endpoint_counts["most_judge_calls_at_once"],
                "failures": args.samples - judged,
                "inside": inside,
            }
        )
    )


async def scored(ask, first, n, concurrency):
    "Answer and judge n samples by `ask(model, prompt)`; return the number of scores."

    async def generate(i):
        return await ask("generator", task(i))

    async def judge(i, answer):
        return json.loads(await ask("judge", judge_prompt(i, answer)))["score"]

    rows = await pipelined(range(first, first + n), concurrency, generate, judge)
    return sum(score is not None for _, score in rows)


async def pipelined(numbers, concurrency, generate, judge):
    "Call `generate(i)`, then `judge(i, answer)`, each with its own limit; return [(answer, judgement)]."
    generations, judgements = asyncio.Semaphore(concurrency), asyncio.Semaphore(concurrency)

    async def one(i):
        async with generations:
            answer = await generate(i)
        async with judgements:
            return answer, await judge(i, answer)

    return await asyncio.gather(*(one(i) for i in numbers))
