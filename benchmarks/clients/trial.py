"What all trials in Python share: the planted values, the stand-in's memory, and how a trial is written down."

import asyncio
import inspect
import json
import os
import sys
import time
import traceback
import urllib.request

from pydantic import BaseModel

ADDRESS, KEY, ENDPOINT = (os.environ[k] for k in ("GATEWAY_ADDRESS", "GATEWAY_KEY", "MODEL_ENDPOINT"))
ECHO, PARALLEL = os.environ.get("ECHO", "echo"), os.environ.get("PARALLEL", "parallel")
HELD = os.environ.get("STREAM") == "hold"  # Whether streams are shown at their end
NAME, PHONE = "Marisol Quintero", "+49 30 5550 0134"
MAIL, IBAN = "marisol.quintero@mail.example", "DE89 3704 0044 0532 0130 00"
VALUES = (NAME, PHONE, MAIL, IBAN)
COLLEAGUE = "Tobias Lindqvist"
SYSTEM = f"You help our colleague {COLLEAGUE} at the claims desk."
SAID = f"My name is {NAME}. Call me at {PHONE} or write to {MAIL}. My IBAN is {IBAN}. The router is dead."
CLEAR = ("Marisol", "Quintero", "5550 0134", "55500134", "marisol.q", "0532 0130", "05320130", "Lindqvist")
RESULT = json.dumps({"name": NAME, "phone": PHONE, "email": MAIL, "iban": IBAN, "open_cases": 2})
GIVEN = []  # Arguments with which the tools below were called


class Caller(BaseModel):
    "Who calls."

    name: str
    phone: str
    email: str
    iban: str


def find_customer(name: str, phone: str, email: str) -> str:
    "Find a customer."
    GIVEN.append({"name": name, "phone": phone, "email": email})
    return RESULT


def open_case(name: str, iban: str) -> str:
    "Open a case."
    GIVEN.append({"name": name, "iban": iban})
    return RESULT


def seen():
    "Return the bodies that reached the model."
    with urllib.request.urlopen(f"{ENDPOINT}/seen") as page:
        return [json.loads(raw) for raw in json.load(page)["seen"]]


def left():
    "Return how many calls of the model were left by their caller."
    with urllib.request.urlopen(f"{ENDPOINT}/seen") as page:
        return json.load(page)["left"]


def until(check, seconds=5):
    "Wait until something holds."
    ends = time.monotonic() + seconds
    while not check() and time.monotonic() < ends:
        time.sleep(0.05)
    assert check()


def whole(text, *values):
    "Assert that a text has every value exactly."
    for value in values or VALUES:
        assert value in str(text), f"{value[:4]}... is not in {str(text)[:300]}"


def data_is_whole(data):
    "Assert that parsed arguments, or an object, have the planted values."
    given = data if isinstance(data, dict) else vars(data)
    for key, value in (("name", NAME), ("phone", PHONE), ("email", MAIL), ("iban", IBAN)):
        if key in given:
            assert given[key] == value, (key, given[key])
    assert set(given) & {"name", "phone", "email", "iban"}, given


def raised(kind, work, *words):
    "Assert that work raises an error of a kind with words in its message."
    try:
        work()
    except kind as e:
        assert all(word in str(e) for word in words), f"{type(e).__name__}: {e}"[:400]
        return e
    except Exception as e:
        raise AssertionError(f"expected {kind}, got {type(e).__name__}: {e}"[:500]) from None
    raise AssertionError(f"nothing was raised, expected {kind}")


def run(package, trials):
    "Run trials, and print a row for each; what reached the model has no planted value."
    from importlib.metadata import version

    chosen = sys.argv[1:]
    for trial in trials:
        name = trial.__name__.replace("_", " ")
        if chosen and not any(word in name for word in chosen):
            continue
        if HELD and name.startswith("leaving"):  # nothing is shown that could be left
            continue
        urllib.request.urlopen(urllib.request.Request(f"{ENDPOINT}/forget", method="POST")).close()
        begun, why = time.monotonic(), ""
        try:
            if inspect.iscoroutinefunction(trial):
                asyncio.run(asyncio.wait_for(trial(), 60))
            else:
                trial()
            bodies = json.dumps(seen(), ensure_ascii=False)
            found = [word for word in CLEAR if word in bodies]
            assert not found, f"in clear at the model: {found}"
        except BaseException as e:
            if os.environ.get("TRACE"):
                traceback.print_exc()
            why = f"{type(e).__name__}: {e}"[:600]
        row = {"package": package, "version": version(package), "trial": name, "holds": not why, "why": why}
        print(json.dumps({**row, "seconds": round(time.monotonic() - begun, 1)}), flush=True)
