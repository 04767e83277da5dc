"""The judge prompts with a real model: readable replies, position and length effects, agreement with people.

    python benchmarks/judge_prompts.py --keep replies.jsonl                      # local:smollm2, no key
    python benchmarks/judge_prompts.py --judge openai:NAME --base-url URL --keep replies.jsonl --concurrency 8

Every reply is saved to the file at once: the same command continues a stopped run. With --replay no call is
made. The figures, which contain no text, go to --out. Third-party texts are read from CRMEVAL_DATA and are
not copied.
"""

import argparse
import asyncio
import hashlib
import json
import threading
from collections import Counter
from dataclasses import asdict
from datetime import date
from pathlib import Path

from crmeval.core.calls import CallFailed, Completion
from crmeval.core.records import Usage
from crmeval.core.stats import mean_estimate
from crmeval.judges.llm import LLMJudge
from crmeval.runs.specs import make_client
from crmeval.tasks.public import DataUnavailable
from crmeval.validation.audit import order_swap
from crmeval.validation.labelled import LABELLED
from crmeval.validation.own_judge import measure_judge
from crmeval.validation.pairwise import PairwiseJudge, aboth_orders
from crmeval.validation.prompt_trials import prompt_trials, swayed_by, trial_cases

PROMPT_OF = {"factuality": "check", "completeness": "align", "conciseness": "align"}
ABOUT = (
    "Our judge prompts put to a real model: replies read, what place and length change, agreement with people"
)
CHUNK = 2  # all prompts process these cases before the next ones, so that a stopped run is balanced


class Kept:
    "A chat client that saves its replies to a file, one per line, and reuses them for equal requests."

    def __init__(self, client, path, replay=False):
        self.client, self.path, self.replay, self.lock = client, Path(path), replay, threading.Lock()
        self.name, self.provider, self.model = client.name, client.provider, client.model
        self.base_url, self.max_tokens = getattr(client, "base_url", None), client.max_tokens
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        self.known = {row["key"]: row for row in map(json.loads, lines)}

    def settings(self):
        return self.client.settings()

    async def chat(self, messages, **options):
        request_text = json.dumps([self.model, self.max_tokens, messages, options], sort_keys=True)
        key = hashlib.sha256(request_text.encode()).hexdigest()[:24]
        if key not in self.known:
            if self.replay:
                raise CallFailed("not among the replies that are kept", status="not_run")
            done = asdict(await self.client.chat(messages, **options))
            self._keep(
                {"key": key, **{k: done[k] for k in ("text", "status", "usage", "logprobs", "latency_s")}}
            )
        row = {k: v for k, v in self.known[key].items() if k != "key"}
        return Completion(**{**row, "usage": Usage(**row["usage"])})

    def _keep(self, row):
        with self.lock, self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self.known[row["key"]] = row

    async def aclose(self):
        await self.client.aclose()


def judges(client, structured=True):
    "Return one judge of each kind, all with the same client."
    options = {"client": client, "structured": structured, "retries": 1}
    fine, rubric = (LLMJudge(client.name, style=s, **options) for s in ("fine", "rubric"))
    return {"fine": fine, "rubric": rubric, "compare": PairwiseJudge(client, retries=1)}


def figure(e):
    return {
        k: v if v is None else round(v, 4) for k, v in (("value", e.value), ("low", e.low), ("high", e.high))
    } | {
        "n": e.n,
        "undefined": e.undefined,
    }


def trials(client, n, concurrency):
    "Return figures by prompt: cases in chunks first, then all of them from the saved replies."
    cases = trial_cases()[:n]
    for i in range(0, len(cases), CHUNK):
        prompt_trials(cases[i : i + CHUNK], **judges(client), concurrency=concurrency, n_resamples=2)
        print(f"{min(i + CHUNK, len(cases))} of {len(cases)} cases, {len(client.known)} replies", flush=True)
    effects = prompt_trials(cases, **judges(client), concurrency=concurrency)
    return {
        "cases": len(cases),
        "effects": {p: {k: figure(e) for k, e in es.items()} for p, es in effects.items()},
        "swayed_by": {p: swayed_by(es) for p, es in effects.items()},
    }


def people_of(name, client, limit, concurrency):
    "Return the agreement on a labelled set, and that of word overlap on the same responses."
    judge = judges(client)["fine"]
    done = measure_judge(name, judge, limit=limit, groups=False, concurrency=concurrency, download=False)
    lines = {line.judge: line.measured.figures for line in done.lines}
    read = mean_estimate([float(a.status == "ok") for a in done.answers], bounds=(0, 1))
    figures = {
        k: e for k, e in lines[judge.name].items() if k in ("pearson", "balanced_accuracy", "weighted_kappa")
    }
    return {
        "set": name,
        "prompt": PROMPT_OF[LABELLED[name].metric],
        "responses": len(done.answers),
        "figures": {"replies read": figure(read), **{k: figure(e) for k, e in figures.items() if e.n}},
        "word overlap, pearson": figure(lines["word overlap"]["pearson"]),
        "statuses": dict(Counter(a.status for a in done.answers)),
    }


async def asked_in_both_orders(client, pairs, concurrency):
    try:
        return await aboth_orders(judges(client)["compare"], pairs, concurrency=concurrency)
    finally:
        await client.aclose()


def pairs_of(client, limit, concurrency):
    "Return the agreement of pairwise choices with people, on short pairs of LLMBar's natural part."
    from crmeval.tasks.load import load_rows

    rows = load_rows("llmbar", "Natural/dataset.jsonl", download=False)
    short = [r for r in rows if sum(len(r[k]) for k in ("input", "output_1", "output_2")) <= 900][:limit]
    pairs = [
        {
            "instruction": r["input"],
            "response1": r["output_1"],
            "response2": r["output_2"],
            "gold": r["label"],
        }
        for r in short
    ]
    choices = asyncio.run(asked_in_both_orders(client, pairs, concurrency))
    columns = [[r[k] for r in choices] for k in ("first", "swapped", "gold")]
    flips = order_swap(*columns)
    read = mean_estimate(
        [float(r[k] is not None) for r in choices for k in ("first", "swapped")], bounds=(0, 1)
    )
    wanted = {"accuracy, mean": "right", "position agreement": "the same choice in both orders"}
    wanted |= {"prefers the first": "prefers the first"}
    figures = {"replies read": figure(read), **{wanted[k]: figure(flips[k]) for k in wanted}}
    return {
        "set": "llmbar, natural, short pairs",
        "prompt": "compare",
        "responses": len(pairs),
        "figures": figures,
    }


def without_schema(client, n, concurrency):
    "Return the share of readable replies without a schema, from the prompt's instructions alone."
    effects = prompt_trials(trial_cases()[:n], **judges(client, structured=False), concurrency=concurrency)
    read = {p: es["replies read"] for p, es in effects.items() if p != "compare"}
    return {"cases": n, "replies read": {p: figure(e) for p, e in read.items() if e.n}}


def spent(client):
    used = [row["usage"] for row in client.known.values()]
    seconds = [row["latency_s"] or 0 for row in client.known.values()]
    tokens = {k: sum(u[k] or 0 for u in used) for k in ("input_tokens", "output_tokens")}
    return {"replies": len(used), **tokens, "minutes": round(sum(seconds) / 60, 1)}


def plain_settings(client):
    "Return the settings that affect the answers, without addresses and paths."
    kept = ("provider", "model", "sha256", "server", "temperature", "max_tokens", "context", "threads")
    return {k: v for k, v in client.settings().items() if k in kept}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--judge", default="local:smollm2", help="a line for a model, as for crmeval run")
    p.add_argument("--base-url")
    p.add_argument("--keep", required=True, type=Path, help="file of the replies; goes on where it ends")
    p.add_argument("--out", type=Path, help="where the figures go, as JSON; default: they are printed")
    p.add_argument("--cases", type=int, default=16, help="invented cases, at most 16")
    p.add_argument("--responses", type=int, default=24, help="of each labelled set; 0: none is asked")
    p.add_argument(
        "--sets", nargs="*", default=["dstc9-factuality"], help="labelled sets, as crmeval agreement"
    )
    p.add_argument("--plain-cases", type=int, default=4, help="cases asked without a schema; 0: none")
    p.add_argument("--max-tokens", type=int, default=400)
    p.add_argument("--concurrency", type=int, default=1)
    p.add_argument("--replay", action="store_true", help="ask nothing: figures of what is kept")
    return p.parse_args()


def main():
    args = arguments()
    more = {"base_url": args.base_url} if args.base_url else {}
    client = Kept(make_client(args.judge, max_tokens=args.max_tokens, **more), args.keep, args.replay)
    found = {"about": ABOUT, "source": "Replies of the model named here; counts and figures only"}
    found |= {"model": args.judge, "settings": plain_settings(client), "date": str(date.today())}
    found["trials"] = trials(client, args.cases, args.concurrency)
    if args.responses:
        pairs = pairs_of(client, args.responses, args.concurrency)
        sets = [people_of(name, client, args.responses, args.concurrency) for name in args.sets]
        found["people"] = [*sets, pairs]
    if args.plain_cases:
        found["without a schema"] = without_schema(client, args.plain_cases, args.concurrency)
    found["spent"] = spent(client)
    asyncio.run(client.aclose())
    text = json.dumps(found, indent=1) + "\n"
    args.out.write_text(text, encoding="utf-8") if args.out else print(text)


if __name__ == "__main__":
    try:
        main()
    except DataUnavailable as error:
        raise SystemExit(f"{error} (--responses 0 leaves out what needs labelled data)") from None
