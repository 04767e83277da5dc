"A whole run where Python has none of what only Unix has, and a terminal that cannot show every character."

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import crmeval

# Windows has no such modules and names, its event loop has no signal handlers, and its locks are msvcrt's.
WITHOUT_UNIX = """
import asyncio, importlib.abc, multiprocessing.util, os, signal, subprocess, sys, tempfile, time, types

ABSENT = {"fcntl", "resource", "termios", "pwd", "grp", "tty", "pty"}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def refuse(self, *given):
    raise NotImplementedError

for name in ABSENT:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for name in "getuid geteuid getgid fork register_at_fork killpg setsid getpgid fchmod pread pwrite".split():
    delattr(os, name)
for name in "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGPIPE".split():
    delattr(signal, name)
del signal.pthread_kill, time.clock_gettime, time.CLOCK_BOOTTIME, os.set_blocking
loop = asyncio.unix_events._UnixSelectorEventLoop
loop.add_signal_handler = loop.remove_signal_handler = refuse
locks = types.ModuleType("msvcrt")
locks.LK_UNLCK, locks.LK_LOCK, locks.LK_NBLCK = 0, 1, 2
locks.locked = []
locks.locking = lambda *given: locks.locked.append(given)
sys.modules["msvcrt"] = locks
"""


def without_unix(folder, *words):
    "Run Python in `folder`; the output must be characters of Windows-1252."
    (folder / "sitecustomize.py").write_text(WITHOUT_UNIX, encoding="utf-8")
    own = {"PYTHONPATH": f"{folder}{os.pathsep}{Path(crmeval.__file__).parents[1]}"}
    own |= {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=os.environ | own, capture_output=True, timeout=120
    )
    output = done.stdout.decode("cp1252") + done.stderr.decode("cp1252")
    assert done.returncode == 0, output
    return output


@pytest.mark.skipif(os.name == "nt", reason="nothing has to be taken away")
def test_a_run_needs_nothing_that_only_unix_has(tmp_path):
    clients = ["--model", "baseline:sensible", "--model", "trusted:baseline:sensible"]
    output = without_unix(
        tmp_path,
        "-m",
        "crmeval",
        "run",
        *clients,
        "--use-case",
        "service_call_summary",
        "--limit",
        "1",
        "--out",
        "own",
    )
    assert "trusted:baseline:sensible" in output
    manifest = json.loads((tmp_path / "own" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["finished"], manifest
    names = [p.name for p in (tmp_path / "own").rglob("*")]
    assert names and not [n for n in names if set(n) & set('<>:"|?*\\')]
    assert "own" in without_unix(tmp_path, "-m", "crmeval", "list", ".")


AUDIT = """
from crmeval.layer.audit_trail import AuditTrail
with AuditTrail("trail.jsonl") as trail:
    for n in range(3):
        trail.append("prompt", person="contact-7", private={"name": "Ada Brook"}, n=n)
    assert trail.erase("contact-7") == 3 and trail.verify().ok, trail.verify()
"""


@pytest.mark.skipif(os.name == "nt", reason="nothing has to be taken away")
def test_an_audit_trail_needs_nothing_that_only_unix_has(tmp_path):
    (tmp_path / "audit.py").write_text(AUDIT, encoding="utf-8")
    without_unix(tmp_path, "audit.py")
    assert (tmp_path / "trail.jsonl").read_bytes().count(b"\n") == 4
    assert "4 records" in without_unix(tmp_path, "-m", "crmeval", "audit", "verify", "trail.jsonl")
