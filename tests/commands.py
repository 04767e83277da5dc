"""The `crmeval` command for tests, each time in a process of its own that finds large packages loaded.

Most of what a short command takes is the import of pandas, pyarrow, SciPy and matplotlib, and of our rooms.
One server for all test processes loads and warms them, ours as ahead.py says. It forks a child for each test
process that calls on its socket, and this one a child for each command. That child has the folder, the
environment and the output of that command and ends as an interpreter ends, so that a test sees what a user
sees; `test_package.py` holds what a command may import, with real interpreters.
"""

import atexit
import contextlib
import fcntl
import gc
import json
import os
import resource
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

import ahead

LARGE = (
    "matplotlib.figure",
    "pandas",
    "pyarrow.parquet",
    "pyarrow.dataset",
    "scipy.stats",
    "sklearn.metrics",
)
SMALL = ("aiohttp", "cyclopts", "jinja2", "msgspec", "numpy", "openai", "yaml")
ROOT = Path(__file__).resolve().parent.parent


class Commands:
    "A caller of the server of forked commands; one at a time."

    def __init__(self):
        self.process = self.stream = None
        self.lock = threading.Lock()

    def _called(self):
        "Lines to and from a child of the server. Who finds none starts one, which ends with this process."
        if self.stream is None:
            run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"of-{os.getpid()}")
            address = os.path.join(tempfile.gettempdir(), f"crmeval-commands-{run}")
            with open(__file__, "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                calling = _connected(address) or self._started(address)
            self.stream = calling.makefile("rw", encoding="utf-8")
            atexit.register(self.stop)
        return self.stream

    def _started(self, address):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)  # of a server that was killed
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, __file__, address], text=True, cwd=ROOT, **pipes)
        self.process.stdout.readline()  # it listens
        return _connected(address)

    def stop(self):
        if self.stream:
            self.stream.close()
        if self.process and self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(timeout=10)

    def run(self, words, cwd, env, timeout, largest):
        "What `subprocess.run([python, '-m', 'crmeval', *words])` gives, with its output as text."
        with tempfile.TemporaryDirectory() as folder, self.lock:
            out, err = os.path.join(folder, "out"), os.path.join(folder, "err")
            asked = {"words": words, "cwd": str(cwd), "env": env, "out": out, "err": err}
            asked |= {"timeout": timeout, "largest": largest}
            server = self._called()
            server.write(json.dumps(asked) + "\n")
            server.flush()
            reply = server.readline()
            if not reply:
                self.stream = None
                raise RuntimeError("the server of commands has gone; the next command starts another")
            code = json.loads(reply)
            said = [Path(path).read_bytes().decode() for path in (out, err)]
        if code is None:
            raise subprocess.TimeoutExpired(["crmeval", *words], timeout, *said)
        return subprocess.CompletedProcess(["crmeval", *words], code, *said)


def _connected(address):
    "A connection to the server at an address; None where there is none."
    calling = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        calling.connect(address)
        return calling
    calling.close()
    return None


COMMANDS = Commands()


def crmeval(*words, cwd=None, env=None, timeout=300, largest=None):
    """Run the command and give what `subprocess.run` gives.

    env: variables beside those of this process; timeout: seconds; largest: bytes of a file (a full disk).
    """
    asked = {**os.environ, **dict(env or {})}
    return COMMANDS.run([str(word) for word in words], cwd or os.getcwd(), asked, timeout, largest)


def _ended(asked):
    "Run the command as an interpreter does and give the code with which it ends."
    try:
        runpy.run_module("crmeval", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _child(asked):
    "Become the command; never comes back."
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = (
        open(0, encoding="utf-8"),
        open(1, "w", encoding="utf-8", buffering=1),
        open(2, "w", encoding="utf-8", buffering=1),
    )
    if asked["largest"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest"], asked["largest"]))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # -m puts the folder first on the path, and PYTHONPATH or the installed package behind it
    sys.path[0] = asked["cwd"]
    sys.argv = ["crmeval", *asked["words"]]
    code = _ended(asked)
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code & 0xFF)


def _forked(asked):
    "The exit code of a child that was the command; None when it took too long."
    child = os.fork()
    if not child:
        signal.alarm(0)
        _child(asked)
    late = threading.Timer(asked["timeout"], os.kill, (child, signal.SIGKILL))
    late.start()
    status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    over = late.finished.is_set() and code == -signal.SIGKILL
    late.cancel()
    return None if over else code


def draw_once():
    "Fonts are read once, and the picture that stands in every report is drawn once."
    from crmeval.pages.agreement_chart import AgreementPage, known_agreement

    AgreementPage(known_agreement())._repr_html_()


def _served(calling):
    "Be the server of one test process until it closes the connection."
    with calling.makefile("rw", encoding="utf-8") as stream:
        for line in stream:
            print(json.dumps(_forked(json.loads(line))), file=stream, flush=True)
    os._exit(0)


def main(address):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    print("listening", flush=True)
    for name in (*LARGE, *SMALL):
        __import__(name)
    ahead.load()
    ahead.warm()
    draw_once()
    gc.set_threshold(100_000, 20, 20)  # as in the tests themselves
    gc.freeze()  # a child that collects its garbage would copy all pages of the server
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children of callers
    while listening in select.select([listening, sys.stdin], [], [])[0]:
        calling, _ = listening.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            _served(calling)
        calling.close()
    os.unlink(address)


if __name__ == "__main__":
    main(sys.argv[1])
