"What all trials share: their result as a row, a model on this machine, and the one case they try."

import json
import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

CONTEXT = "Agent: Your parcel arrives on Friday."
RIGHT, WRONG = "It arrives on Friday.", "It arrives on Monday."


def print_row(package, what):
    "The row of a trial that held."
    print(json.dumps({"package": package, "version": version(package), "tried": what, "holds": True}))


@contextmanager
def endpoint():
    "The address of a model on this machine that answers as OpenAI's do; it ends with the block."
    words = [sys.executable, str(Path(__file__).parents[1] / "endpoint.py"), "--latency-ms", "0"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)


def ran(*words, **how):
    "What a command printed; one that fails ends the trial with its last lines."
    done = subprocess.run(words, capture_output=True, text=True, **how)
    assert done.returncode == 0, " ".join((done.stdout + done.stderr)[-400:].split())
    return done.stdout
