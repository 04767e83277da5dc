"""Run the `crmeval` command for tests, each in a process of its own that has the large packages loaded.

Most of a short command's time goes into importing pandas, pyarrow, SciPy, matplotlib and our modules. One
server for all test processes loads and warms them (ours as described in ahead.py). It forks a child for each
test process that connects to its socket, and that child forks one for each command. The command's process
has its own folder, environment and output and exits as an interpreter does, so that a test sees what a user
sees; `test_package.py` checks with real interpreters what a command may import. A test that kills or
interrupts a running command starts it with `begun`; behaviour during interpreter shutdown and while packages
load is tested with real interpreters.
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
from functools import partial
from pathlib import Path
from types import ModuleType

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


class Begun:
    "A running command or program, with a part of the interface of `subprocess.Popen`."

    def __init__(self, calling, words, files):
        self.calling, self.args, self.files, self.rest = calling, words, files, b""
        self.returncode = None
        first_line = self._line(300)  # the first one waits until the server has loaded all packages
        if first_line is None:
            raise subprocess.TimeoutExpired(words, 300)
        self.pid = int(first_line)

    def _line(self, timeout):
        "Return the next line from the server; None if none arrives within the timeout."
        while b"\n" not in self.rest:
            if not select.select([self.calling], [], [], timeout)[0]:
                return None
            chunk = self.calling.recv(4096)
            if not chunk:
                raise RuntimeError("the server of commands has gone")
            self.rest += chunk
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def poll(self):
        if self.returncode is None and (line := self._line(0)) is not None:
            self.returncode = json.loads(line)
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            line = self._line(timeout)
            if line is None:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = json.loads(line)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def said(self):
        "Return what it has written so far to standard output and standard error."
        return tuple(path.read_bytes().decode() if path.exists() else "" for path in self.files)

    def communicate(self, timeout=None):
        self.wait(timeout)
        self.calling.close()
        return self.said()


class Commands:
    "A client of the server of forked commands; one command at a time."

    def __init__(self):
        self.process = self.stream = None
        self.lock = threading.Lock()

    def connected(self):
        "Return a connection to a child of the server; start a server for this process if there is none."
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"of-{os.getpid()}")
        address = os.path.join(tempfile.gettempdir(), f"crmeval-commands-{run}")
        with open(__file__, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _connected(address) or self._started(address)

    def _called(self):
        "Return a stream to a child of the server, kept open for one command after another."
        if self.stream is None:
            self.stream = self.connected().makefile("rw", encoding="utf-8")
        return self.stream

    def _started(self, address):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)  # left by a server that was killed
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, __file__, address], text=True, cwd=ROOT, **pipes)
        self.process.stdout.readline()  # the server is listening
        atexit.register(self.stop)
        return _connected(address)

    def stop(self):
        if self.stream:
            self.stream.close()
        if self.process and self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(timeout=10)

    def run(self, words, cwd, env, timeout, **more):
        "Return what `subprocess.run([python, '-m', 'crmeval', *words])` returns, with its output as text."
        with tempfile.TemporaryDirectory() as folder, self.lock:
            out, err = os.path.join(folder, "out"), os.path.join(folder, "err")
            job = {"words": words, "cwd": str(cwd), "env": env, "out": out, "err": err}
            job |= {"timeout": timeout, **more}
            server = self._called()
            server.write(json.dumps(job) + "\n")
            server.flush()
            reply = server.readline() and server.readline()  # the process id, then the exit code
            if not reply:
                self.stream = None
                raise RuntimeError("the server of commands has gone; the next command starts another")
            code = json.loads(reply)
            outputs = [Path(path).read_bytes().decode() for path in (out, err)]
        if code is None:
            raise subprocess.TimeoutExpired(["crmeval", *words], timeout, *outputs)
        return subprocess.CompletedProcess(["crmeval", *words], code, *outputs)


def _connected(address):
    "Return a connection to the server at an address; None if there is none."
    calling = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        calling.connect(address)
        return calling
    calling.close()
    return None


COMMANDS = Commands()


def crmeval(*words, cwd=None, env=None, timeout=300, largest=None, stdin=os.devnull, code=None):
    """Run the command and return what `subprocess.run` returns.

    env: variables added to those of this process; timeout: seconds; largest: maximum file size in bytes (a
    full disk); stdin: path of a file to read; code: a program to run with the words instead of the command.
    """
    variables = {**os.environ, **dict(env or {})}
    more = {"largest": largest, "stdin": str(stdin), "code": code}
    return COMMANDS.run([str(word) for word in words], cwd or os.getcwd(), variables, timeout, **more)


def begun(*words, cwd, code=None, timeout=120):
    """Start the command, or a program with these words, and return it while it is running.

    cwd: a folder of the test, in which its output is kept; timeout: seconds until it is killed.
    """
    words = [str(word) for word in words]
    folder = Path(tempfile.mkdtemp(prefix=".said-", dir=cwd))
    files = folder / "out", folder / "err"
    job = {"words": words, "cwd": str(cwd), "env": dict(os.environ), "timeout": timeout, "largest": None}
    job |= {"out": str(files[0]), "err": str(files[1]), "stdin": os.devnull, "code": code}
    calling = COMMANDS.connected()
    calling.sendall(json.dumps(job).encode() + b"\n")
    return Begun(calling, words, files)


def _ended(job):
    "Run the command as an interpreter does and return its exit code."
    try:
        if job["code"] is not None:
            program = ModuleType("__main__")
            sys.modules["__main__"] = program
            exec(compile(job["code"], "<string>", "exec"), program.__dict__)
        else:
            runpy.run_module("crmeval", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _child(job):
    "Turn this process into the command; does not return."
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    # as in a terminal: background jobs ignore the interrupt, and children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(job["stdin"], os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = (
        open(0, encoding="utf-8"),
        open(1, "w", encoding="utf-8", buffering=1),
        open(2, "w", encoding="utf-8", buffering=1),
    )
    if job["largest"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest"], job["largest"]))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # -m puts the folder first on the path, followed by PYTHONPATH and the installed package
    sys.path[0] = job["cwd"]
    sys.argv = ["crmeval" if job["code"] is None else "-c", *job["words"]]
    code = _ended(job)
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code & 0xFF)


def _forked(job, tell):
    "Return the exit code of a forked command, None after a timeout; its process id is sent first."
    child = os.fork()
    if not child:
        signal.alarm(0)
        _child(job)
    tell(child)
    late = threading.Timer(job["timeout"], os.kill, (child, signal.SIGKILL))
    late.start()
    status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    over = late.finished.is_set() and code == -signal.SIGKILL
    late.cancel()
    return None if over else code


def draw_once():
    "Load the fonts and draw the picture of every report once."
    from crmeval.pages.agreement_chart import AgreementPage, known_agreement

    AgreementPage(known_agreement())._repr_html_()


def _served(calling):
    "Serve one test process until it closes the connection."
    with calling.makefile("rw", encoding="utf-8") as stream:
        for line in stream:
            tell = partial(print, file=stream, flush=True)
            tell(json.dumps(_forked(json.loads(line), tell)))
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
    gc.freeze()  # a child's garbage collection would copy all memory pages of the server
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the children of callers are not waited for
    while listening in select.select([listening, sys.stdin], [], [])[0]:
        calling, _ = listening.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            _served(calling)
        calling.close()
    os.unlink(address)
    os._exit(0)  # unloading all modules would delay the tests by a second


if __name__ == "__main__":
    main(sys.argv[1])
