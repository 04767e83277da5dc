"Limits of time hold on a slow machine, and still find what takes longer than it may."

import time

import pace
import pytest


def test_a_machine_that_is_twice_as_slow_gets_twice_the_time(monkeypatch):
    monkeypatch.setattr(pace, "slowness", lambda: 2.0)
    monkeypatch.setattr(time, "process_time", lambda: 13.0)
    assert pace.cpu_since(10.0) == 1.5
    assert pace.cpu_since(12.9) == pytest.approx(0.1)  # too short to ask how slow the machine is


def test_a_fast_machine_gets_no_less(monkeypatch):
    monkeypatch.setattr(pace, "QUIET", 1e6)
    assert pace.slowness(rounds=1) == 1.0


def test_time_that_grows_with_the_square_of_the_length_is_found():
    "Twelve times the work that takes a limit's length is over the limit, however slow the machine is."
    start = time.process_time()
    for _ in range(24):
        pace.work()
    assert pace.cpu_since(start) > 6 * pace.QUIET
