"""A tutorial as a newcomer runs it: no other machine, no key, no data of others, and the words that it shows.

`notebooks.py` runs each in a process of its own, in which `only_here` holds until its end.
"""

import os
import re
import socket
import sys
from pathlib import Path

HERE = ("127.0.0.1", "::1", "localhost")


def is_tutorial(path: Path) -> bool:
    return path.parent.name == "tutorials"


def only_here() -> None:
    "Nothing but this machine can be reached from now on, and no key and no data of other people are named."
    connect = socket.socket.connect

    def to_this_machine(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in HERE:
            raise OSError(f"{address[0]} is another machine")
        return connect(self, address)

    socket.socket.connect = to_this_machine
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "CRMEVAL_DATA"):
        os.environ.pop(name, None)


def printed(notebook) -> str:
    "All that the cells of a notebook have printed."
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    return "".join("".join(o.text) for o in outputs if o.output_type == "stream")


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]{4,}", text))


def what_differs(stored: str, now: str) -> str:
    "'' where the words that come out are those that are shown; seconds differ."
    if len(now.split()) <= 20:
        return f"prints {len(now.split())} words, expected more than 20"
    gone = sorted(words(stored) - words(now))
    return "" if len(gone) < 0.1 * len(words(stored)) else f"no longer prints: {', '.join(gone)}"


def ran(path: Path) -> bool:
    "Whether a tutorial runs from its first cell to its last and prints what it shows."
    from execnb.nbio import read_nb
    from execnb.shell import CaptureShell

    only_here()
    os.chdir(path.parent)
    notebook, shell = read_nb(path), CaptureShell(path)
    stored = printed(notebook)
    try:
        shell.run_all(notebook, exc_stop=True)
    except Exception:
        print(shell.prettytb(fname=path), file=sys.stderr)
        return False
    if told := what_differs(stored, printed(notebook)):
        print(f"{path.name} {told}", file=sys.stderr)
    return not told
