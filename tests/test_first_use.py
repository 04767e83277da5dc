"A metric's first use in a new process by many threads at once gives what one thread gets."

import subprocess
import sys

import pytest

# each: imports and tables that load on first use; the arguments reach the rarer ones
CALLS = {
    "factuality": "factuality('Order 4471 was lost. It cost 12 euros.', source='Order 4471 was lost.')",
    "completeness": "completeness('It was lost on 3 May.', key_facts=['It was lost.', 'It came on 3 May.'])",
    "conciseness": "conciseness('It was lost. As I said, it was lost.', key_facts=['It was lost.'])",
    "fluency": "fluency('He go to the the shop.')",
    "coherence": "coherence('The lamp is red. The lamp is not red.')",
    "toxicity": "toxicity('You are an idiot.')",
    "refusal": "refusal('I cannot help with that.', prompt='How do I reset my password?')",
    "privacy": "privacy('Mail ana@example.org.', secrets=[{'value': 'ana@example.org', 'entity': 'EMAIL'}])",
    "schema": "instruction_following('{}', instructions=[{'kind': 'json_schema', 'schema': SCHEMA}])",
    "language": "instruction_following('Guten Tag.', instructions=[{'kind': 'no_placeholders'}])",
    "record": "record_update('{\"stage\": \"won\"}', gold={'stage': 'won', 'closed': '2026-05-03'})",
}
PROGRAM = """
import sys
import threading
from crmeval import (
    coherence, completeness, conciseness, factuality, fluency, instruction_following, privacy,
    record_update, refusal, toxicity,
)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "format": "iri"}}}
sys.setswitchinterval(1e-6)
together, found = threading.Barrier(12), []

def ask():
    together.wait()
    try:
        found.append(repr(CALL))
    except BaseException as e:
        found.append(f"{type(e).__name__}: {e}")

threads = [threading.Thread(target=ask) for _ in range(12)]
for t in threads: t.start()
for t in threads: t.join()
assert set(found) == {repr(CALL)} and len(found) == 12, set(found)
assert "rfc3987_syntax" not in sys.modules or sys.modules["rfc3987_syntax"].__spec__
"""


@pytest.mark.parametrize("name", CALLS)
def test_many_threads_get_what_one_gets(name):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("CALL", CALLS[name])], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-1500:]


def test_a_call_of_a_library_that_is_being_imported_is_never_lost():
    "Each thread enters while another is inside the import, which takes as long as it takes."
    program = """
import sys
import threading
from importlib.abc import MetaPathFinder

class Slow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in ("jsonschema", "rfc3987_syntax"):
            inside.wait(0.5)  # the others come as far in the meantime

inside = threading.Event()
sys.meta_path.insert(0, Slow())
from crmeval import instruction_following
found = []

def ask():
    try:
        asked = [{"kind": "json_schema", "schema": {"type": "object"}}]
        found.append(instruction_following("{}", instructions=asked))
    except BaseException as e:
        found.append(e)

threads = [threading.Thread(target=ask) for _ in range(6)]
for t in threads: t.start()
for t in threads: t.join()
assert len(found) == 6 and not any(isinstance(f, BaseException) for f in found), found
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]
