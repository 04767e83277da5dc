"Failures of the run engine: killed processes, locks, full disks, unwritable folders, the interrupt key."

import json
import os
import random
import signal
import textwrap
import time

import commands
import pytest

from crmeval.core.log import JournalError
from crmeval.core.loops import run_sync
from crmeval.core.records import Sample
from crmeval.runs.journal import Journal
from crmeval.runs.runner import answer_all

N, CONCURRENCY = 60, 4
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and file-size limits of POSIX")

WORKER = textwrap.dedent("""
    import asyncio, os, sys
    from crmeval.core.records import Response, Sample, Score
    from crmeval.core.loops import run_sync
    from crmeval.runs.runner import answer_all

    class Client:
        name, provider, model, cacheable = "test:slow", "test", "slow", True
        def __init__(self, log): self.log = log
        def settings(self): return {"model": self.model}
        async def answer(self, sample, prompt, *, repeat=0):
            os.write(self.log, (sample.id + "\\n").encode())     # each call leaves a trace of its own
            await asyncio.sleep(0.004)
            text = "answer to " + sample.id + " " + "x" * 300
            return Response(sample.id, self.name, text, use_case=sample.use_case)
        async def aclose(self): pass

    async def scorer(sample, response):
        await asyncio.sleep(0.001)
        return [Score("length", 4.0, 1.0)]

    def samples(n):
        case = "service_conversation_summary"
        return [Sample(f"s{i}", case, {"conversation": f"line {i}"}) for i in range(n)]

    def main(folder, n, concurrency):
        log = os.open(folder + "/calls.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        where = folder + "/journal.jsonl"
        work = answer_all(samples(n), [Client(log)], concurrency=concurrency, journal=where, scorer=scorer)
        return run_sync(work)
""")


def start(folder, body):
    code = WORKER + textwrap.dedent(body)
    return commands.begun(folder, N, CONCURRENCY, cwd=folder, code=code)


RUN = """
    rows = main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print([(r.sample_id, r.status, [s.points for s in scores]) for r, scores in rows])
"""


def called(folder):
    path = folder / "calls.txt"
    return path.read_text().split() if path.exists() else []


def recorded(folder):
    "Return the samples whose answer is durable, parsed from the journal; a torn last line does not count."
    path = folder / "journal.jsonl"
    whole = [
        line
        for line in (path.read_bytes() if path.exists() else b"").splitlines(keepends=True)
        if line.endswith(b"\n")
    ]
    return [e["key"][0] for e in map(json.loads, whole) if e["kind"] == "response"]


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("waited too long")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_at_any_moment_loses_nothing_and_redoes_only_what_was_in_flight(tmp_path, seed):
    rng, kills = random.Random(seed), 0
    while kills < 3:
        before, known = len(called(tmp_path)), set(recorded(tmp_path))
        process, goal = start(tmp_path, RUN), before + rng.randint(1, 18)
        wait_for(lambda p=process, g=goal: len(called(tmp_path)) >= g or p.poll() is not None)
        time.sleep(rng.random() * 0.01)
        process.kill()
        process.communicate()
        kills += 1
        assert not known & set(called(tmp_path)[before:]), "a durable answer was requested again"
        assert set(recorded(tmp_path)) >= known, "a durable answer was lost"
    out, err = start(tmp_path, RUN).communicate(timeout=60)
    assert err == "" and eval(out) == [(f"s{i}", "ok", [4.0]) for i in range(N)]
    assert sorted(recorded(tmp_path)) == sorted({f"s{i}" for i in range(N)}), (
        "every sample needs exactly one record"
    )
    assert N <= len(called(tmp_path)) <= N + kills * CONCURRENCY, "more was repeated than was in flight"


def test_a_line_torn_anywhere_costs_that_line_only(tmp_path):
    start(tmp_path, RUN).communicate(timeout=60)
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for cut in sorted({1, 2, len(last) // 2, len(last) - 1, len(last)}):
        path.write_bytes(whole[:-cut])
        journal = Journal(path)
        journal.close()
        assert path.read_bytes() == whole[: -len(last)]


def test_damage_in_the_middle_is_named_and_nothing_is_overwritten(tmp_path):
    start(tmp_path, RUN).communicate(timeout=60)
    path = tmp_path / "journal.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    rows[4] = b"\x00" * 20 + b"\n"
    path.write_bytes(b"".join(rows))
    with pytest.raises(JournalError, match="line 5 is damaged"):
        Journal(path)
    assert path.read_bytes() == b"".join(rows)


def test_a_second_process_is_refused_and_a_killed_one_frees_the_lock(tmp_path):
    holder = start(
        tmp_path,
        """
        import time
        from crmeval.runs.journal import Journal
        journal = Journal(sys.argv[1] + "/journal.jsonl")
        print("held", flush=True)
        time.sleep(60)
    """,
    )
    wait_for(lambda: holder.said()[0] == "held\n")
    _, err = start(tmp_path, RUN).communicate(timeout=60)
    assert "another process is writing" in err and called(tmp_path) == []
    holder.kill()
    holder.communicate()
    out, err = start(tmp_path, RUN).communicate(timeout=60)
    assert err == "" and len(eval(out)) == N


def test_a_full_disk_is_a_clear_error_and_what_was_durable_stays(tmp_path):
    out, err = start(
        tmp_path,
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    """,
    ).communicate(timeout=60)
    assert "JournalError: cannot write" in err and "are safe in it" in err
    kept = set(recorded(tmp_path))
    assert 0 < len(kept) < N and (tmp_path / "journal.jsonl").read_bytes().endswith(b"\n")
    before = len(called(tmp_path))
    out, err = start(tmp_path, RUN).communicate(timeout=60)
    assert err == "" and len(eval(out)) == N and not kept & set(called(tmp_path)[before:])


def test_a_place_that_cannot_be_written_is_an_error_before_anything_is_spent(tmp_path):
    class Untouched:
        name, provider, model, cacheable = "test:untouched", "test", "untouched", True
        settings = answer = aclose = None

    sample = Sample("s0", "service_conversation_summary", {"conversation": "x"})
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file" / "journal.jsonl"] + (["/dev/full"] if os.path.exists("/dev/full") else [])
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        places.append(tmp_path / "closed" / "journal.jsonl")
    for place in places:
        with pytest.raises(JournalError, match="cannot write|not a regular file"):
            run_sync(answer_all([sample], [Untouched()], journal=place))


@pytest.mark.parametrize("inside_a_loop", [False, True])
def test_the_interrupt_key_stops_within_two_seconds_and_says_how_to_continue(tmp_path, inside_a_loop):
    process = start(
        tmp_path,
        """
        async def within(): main(sys.argv[1], 5000, 4)
        try: asyncio.run(within()) if """
        + str(inside_a_loop)
        + """ else main(sys.argv[1], 5000, 4)
        except KeyboardInterrupt as e: print(e)
    """,
    )
    wait_for(lambda: len(called(tmp_path)) > 20)
    pressed = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - pressed < 6 and err == "", "two seconds, with a margin for a busy machine"
    assert "stopped after" in out and "of 5000 answers" in out and "run the same again to continue" in out
    durable = set(recorded(tmp_path))
    assert len(durable) >= len(called(tmp_path)) - CONCURRENCY, "at most the answers in flight may be missing"
