"""Limits of time that mean the same on a slow machine.

A limit says how often a text is read, not how fast a machine is. So CPU seconds are divided by how much
longer a fixed piece of work takes at this moment than on the quiet machine where the limits were set.
"""

import re
import time

QUIET = 0.025  # CPU seconds that `work` takes there
WORDS = re.compile(r"(?P<word>[^\W\d_]+)|(?P<number>\d+)")


def work() -> int:
    "Do what the limits are about, on a text that is always the same: match, look up, keep, join."
    text = "".join(f"The order {n} of Ottilie was sent on {n % 28} May, K {n % 7} B. " for n in range(2_000))
    kept: dict[str, list[tuple[int, str]]] = {}
    for match in WORDS.finditer(text):
        kept.setdefault(match[0].lower(), []).append((match.start(), match[0].strip("aeiou")))
    return len(" ".join(f"{word}={len(places)}" for word, places in kept.items()))


def slowness(rounds: int = 4) -> float:
    "Return how many times longer `work` takes now than on the quiet machine; never below 1."
    began = time.process_time()
    for _ in range(rounds):
        work()
    return max(1.0, (time.process_time() - began) / rounds / QUIET)


def cpu_since(start: float) -> float:
    "Return the CPU seconds since `start`, a value of `time.process_time()`, as on the quiet machine."
    took = time.process_time() - start
    return took if took < 0.25 else took / slowness()
