"""Real database servers on loopback for tests: PostgreSQL and MariaDB of Debian, stopped after use.

Each runs in a temporary folder on a port of its own; neither may run as root, so a root process runs them as
the package's user. If programs are missing, `NotHere` names them and the tests are skipped.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PASSWORD = "it's a \\secret 42"  # of the users owner and reader; contains characters that a driver must quote
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


class NotHere(Exception):
    "The programs of a server are not installed."


def _as(user):
    "Return the words before a command that run it as another user; none if this process is not root."
    if os.getuid() != 0:
        return []
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise NotHere(f"there is no user {user} to run a server as") from None
    ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids]


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **more)


@contextlib.contextmanager
def _folder(user):
    "Yield a temporary folder owned by the user of a server."
    folder = Path(tempfile.mkdtemp(prefix="db", dir="/tmp"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(command, folder, answers):
    "Yield the process of a server once it answers; terminate it with the block."
    with open(folder / "said.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        for _ in range(300):
            if answers():
                break
            if process.poll() is not None:
                raise RuntimeError((folder / "said.log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


class Server:
    "A running server: its port, its log, and a function that runs SQL as its owner."

    def __init__(self, port, log, say, process):
        self.port, self.log, self.say, self.process = port, Path(log), say, process


@contextlib.contextmanager
def postgres():
    "Start PostgreSQL with the users owner and reader; every statement is logged."
    if not POSTGRES:
        raise NotHere("PostgreSQL is not installed")
    programs, user = POSTGRES[-1].parent, _as("postgres")
    with _folder("postgres") as folder:
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        words = ["-N", "-D", folder / "data", "-U", "owner", "--pwfile", folder / "password"]
        env = {**os.environ, "LC_ALL": "C"}
        _run(*user, programs / "initdb", *words, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", env=env)
        port, log = _free_port(), folder / "said.log"
        settings = {"listen_addresses": "127.0.0.1", "fsync": "off", "unix_socket_directories": folder}
        settings |= {"log_statement": "all", "shared_buffers": "16MB", "max_connections": "20"}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        command = [*user, str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port), *options]

        def say(sql):
            at = ["-h", "127.0.0.1", "-p", str(port), "-U", "owner", "-d", "postgres"]
            env = {**os.environ, "PGPASSWORD": PASSWORD}
            return _run(programs / "psql", *at, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql, env=env).stdout

        ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        with _running(
            command, folder, lambda: not subprocess.run(ready, capture_output=True).returncode
        ) as process:
            quoted = PASSWORD.replace("'", "''")
            say(f"CREATE ROLE reader LOGIN PASSWORD '{quoted}'")
            yield Server(port, log, say, process)


@contextlib.contextmanager
def mariadb():
    "Start MariaDB with a user reader; every statement is logged."
    server, install = shutil.which("mariadbd", path="/usr/sbin:/usr/bin"), shutil.which("mariadb-install-db")
    if not (server and install):
        raise NotHere("MariaDB is not installed")
    user = _as("mysql")
    with _folder("mysql") as folder:
        made = [
            install,
            "--no-defaults",
            f"--datadir={folder}/data",
            "--auth-root-authentication-method=normal",
        ]
        _run(*user, *made, "--skip-test-db", "--skip-name-resolve")
        port, log, at = _free_port(), folder / "general.log", f"{folder}/s"
        options = ["--no-defaults", f"--datadir={folder}/data", f"--port={port}", "--bind-address=127.0.0.1"]
        options += [f"--socket={at}", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"]
        options += ["--general-log=1", f"--general-log-file={log}", "--skip-name-resolve"]

        def say(sql):
            return _run("mariadb", "--no-defaults", "-uroot", "-S", at, "-N", "-e", sql).stdout

        def answers():
            query = ["mariadb", "--no-defaults", "-uroot", "-S", at, "-e", "SELECT 1"]
            return not subprocess.run(query, capture_output=True).returncode

        with _running([*user, server, *options], folder, answers) as process:
            quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
            say(f"CREATE DATABASE crm; CREATE USER reader@'127.0.0.1' IDENTIFIED BY '{quoted}'")
            say("GRANT SELECT ON crm.* TO reader@'127.0.0.1'")
            yield Server(port, log, say, process)
