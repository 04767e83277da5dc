"The audit trail: killed, cut, changed, written by many threads, and with a person erased."

import json
import os
import random
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.person_keys import AuditError, PersonKeys

pytest.importorskip("cryptography")
KEY = b"k" * 32
APPENDS = """
import sys
from crmeval.layer.audit_trail import AuditTrail
trail = AuditTrail(sys.argv[1], key=b"k" * 32)
while True:
    n = trail.append("step", person=f"p{0}", private={"name": "Zoë"}, text="x" * 500)
    print(n, flush=True)
"""
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("acknowledged", [1, 40])
def test_killed_it_loses_no_record_that_was_acknowledged(tmp_path, acknowledged):
    path = tmp_path / "t.jsonl"
    process = subprocess.Popen([sys.executable, "-c", APPENDS, str(path)], stdout=subprocess.PIPE, text=True)
    for _ in range(acknowledged):
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    last = max([last, *map(int, process.stdout.read().split())])
    process.wait()
    with AuditTrail(path, key=KEY) as trail:
        verified = trail.verify()
        assert verified.ok and verified.records >= last, str(verified)
        assert all(r.private == {"name": "Zoë"} for r in trail.records(kind="step"))
        assert trail.append("step") == verified.records + 1 and trail.verify().ok


@settings(max_examples=30, deadline=None)
@given(content=st.dictionaries(st.text(min_size=1, max_size=8), PLAIN, max_size=4), private=PLAIN)
def test_what_was_given_comes_back(tmp_path_factory, content, private):
    reserved = {"self", "kind", "person", "private"}
    content = {k: v for k, v in content.items() if k not in reserved}
    with AuditTrail(tmp_path_factory.mktemp("t") / "t.jsonl", key=KEY) as trail:
        trail.append("step", person="ana", private=private, **content)
        (record,) = trail.records()
    assert record.content == content
    assert record.private == private


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "t.jsonl"
    with AuditTrail(path, key=KEY) as trail:
        for i in range(30):
            trail.append("step", person=f"p{i % 3}", private=f"secret {i}", i=i)
    return path


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_found(written, data):
    "In the trail or in its head; without its line break, the last record differs from what the head expects."
    whole = {p.name: p.read_bytes() for p in (written, written.with_name("t.jsonl.head"))}
    name = data.draw(st.sampled_from(sorted(whole)))
    at = data.draw(st.integers(0, len(whole[name]) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda b: b != whole[name][at]))
    path = written.with_name(name)
    path.write_bytes(whole[name][:at] + bytes([new]) + whole[name][at + 1 :])
    try:
        assert not AuditTrail(written, key=KEY).verify().ok
    finally:
        path.write_bytes(whole[name])
    assert AuditTrail(written, key=KEY).verify().ok


@pytest.mark.parametrize("new", [0x80, 0xFF, 0x00])
def test_a_byte_that_is_no_letter_in_the_last_record_is_a_finding(written, new):
    "Also within the code at its end, which a finding shows."
    whole = written.read_bytes()
    last = len(whole) - whole[:-1].rindex(b"\n")
    try:
        for back in range(2, last, 3):
            written.write_bytes(whole[:-back] + bytes([new]) + whole[len(whole) - back + 1 :])
            assert not AuditTrail(written, key=KEY).verify().ok, back
    finally:
        written.write_bytes(whole)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_lines_removed_or_in_another_order_are_found(written, seed):
    rng = random.Random(seed)
    whole = written.read_bytes()
    lines = whole.splitlines(keepends=True)
    changed = rng.sample(lines, rng.randint(0, len(lines)))
    try:
        written.write_bytes(b"".join(changed))
        assert AuditTrail(written, key=KEY).verify().ok == (changed == lines)
    finally:
        written.write_bytes(whole)


def test_another_key_opens_nothing(written):
    other = AuditTrail(written, key=b"o" * 32)
    assert not other.verify().ok
    assert {r.person for r in AuditTrail(written, key=KEY).records()} == {
        PersonKeys(written.with_name("none"), KEY).pseudonym(f"p{i}") for i in range(3)
    }
    with pytest.raises(AuditError, match="was changed, or belongs to another record"):
        list(other.records())


def test_many_threads_write_one_chain(tmp_path):
    with AuditTrail(tmp_path / "t.jsonl", key=KEY) as trail:
        numbers = []

        def write(who):
            for i in range(50):
                numbers.append(trail.append("step", person=f"p{who}", private=i, who=who))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(numbers) == list(range(1, 301)) and trail.verify().ok
        assert sorted(r.private for r in trail.records(who=2)) == list(range(50))


def test_a_forgotten_person_is_in_no_file(tmp_path):
    with AuditTrail(tmp_path / "t.jsonl", key=KEY) as trail:
        for i in range(5):
            trail.append("values", person="ana@example.org", private={"name": f"Ana Lopes {i}"})
            trail.append("values", person="ben@example.org", private={"name": f"Ben Okri {i}"})
        assert trail.erase("ana@example.org") == 5
        assert trail.erase("nobody@example.org") == 0
        assert trail.verify().ok
        assert [r.forgotten for r in trail.records(person="ana@example.org", kind="values")] == [True] * 5
        assert [r.private["name"] for r in trail.records(person="ben@example.org")][0] == "Ben Okri 0"
    again = AuditTrail(tmp_path / "t.jsonl", key=KEY)
    assert all(r.private is None for r in again.records(person="ana@example.org"))
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert b"Lopes" not in content and b"Okri" not in content and b"@example" not in content
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_told_and_the_chain_holds(tmp_path, monkeypatch):
    with AuditTrail(tmp_path / "t.jsonl", key=KEY) as trail:
        trail.append("step", i=1)
        real = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
        with pytest.raises(OSError, match="No space"):
            trail.append("step", i=2)
        monkeypatch.setattr(os, "write", real)
        assert trail.append("step", i=3) == 2
        assert trail.verify().ok
        assert [r.content["i"] for r in trail.records()] == [1, 3]


def test_a_lost_key_is_told_and_none_is_made(tmp_path, monkeypatch):
    monkeypatch.delenv("CRMEVAL_AUDIT_KEY", raising=False)
    with AuditTrail(tmp_path / "t.jsonl") as trail:
        trail.append("step")
    (tmp_path / "t.jsonl.key").unlink()
    with pytest.raises(AuditError, match="bring back the file"):
        AuditTrail(tmp_path / "t.jsonl")
    monkeypatch.setenv("CRMEVAL_AUDIT_KEY", "not hexadecimal, and secret")
    with pytest.raises(AuditError) as caught:
        AuditTrail(tmp_path / "t.jsonl")
    assert "CRMEVAL_AUDIT_KEY" in str(caught.value) and "secret" not in str(caught.value)


def test_lines_are_json_that_other_tools_read(written):
    rows = [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]
    assert [row["n"] for row in rows] == list(range(1, 31))
    assert all({"time", "kind", "content", "mac"} <= set(row) for row in rows)


def test_whoever_comes_back_after_being_forgotten_is_kept_anew_and_can_be_forgotten_again(tmp_path):
    rng, expected = random.Random(4), []  # expected: (person, text; None: forgotten)
    with AuditTrail(tmp_path / "t.jsonl") as trail:
        for n in range(120):
            who = f"p{rng.randrange(4)}"
            if rng.random() < 0.2:
                records = sum(1 for person, text in expected if person == who and text)
                assert trail.erase(who) == records
                expected = [(p, None if p == who else t) for p, t in expected]
            else:
                trail.append("reply", person=who, private=f"text {n}")
                expected.append((who, f"text {n}"))
            found = [(r.private, r.forgotten) for r in trail.records("reply")]
            assert found == [(text, text is None) for _, text in expected]
        assert trail.verify().ok


def test_nobody_is_forgotten_while_another_process_writes(tmp_path):
    path = tmp_path / "t.jsonl"
    with AuditTrail(path) as writer:
        writer.append("reply", person="ana", private="a")
        with AuditTrail(path) as other, pytest.raises(AuditError, match="no one was erased"):
            other.erase("ana")
        writer.append("reply", person="ana", private="b")
        assert [r.private for r in writer.records()] == ["a", "b"]


def test_who_writes_next_knows_whom_another_process_forgot(tmp_path):
    path = tmp_path / "t.jsonl"
    with AuditTrail(path) as first:
        first.append("reply", person="ana", private="a")
        first.append("reply", person="ben", private="b")
        first.close()  # releases the lock, and still knows the keys
        with AuditTrail(path) as other:
            assert other.erase("ana") == 1
        first.append("reply", person="ana", private="c")
    with AuditTrail(path) as later:
        assert [r.private for r in later.records("reply")] == [None, "b", "c"]
        assert later.verify().ok


def test_keys_that_are_gone_without_anybody_being_forgotten_are_told(tmp_path):
    with AuditTrail(tmp_path / "t.jsonl") as trail:
        trail.append("reply", person="ana", private="a")
        trail.erase("ana")
        assert trail.verify().ok  # nobody is left, which is no loss
        trail.append("reply", person="ana", private="b")
        (tmp_path / "t.jsonl.persons").unlink()
        verified = trail.verify()
        assert not verified.ok and "keys of persons" in str(verified)


def test_a_disk_that_fills_up_inside_a_key_spoils_no_other_key(tmp_path, monkeypatch):
    with AuditTrail(tmp_path / "t.jsonl") as trail:
        trail.append("reply", person="ana", private="a")
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
        with pytest.raises(OSError, match="No space"):
            trail.append("reply", person="ben", private="b")
        monkeypatch.undo()
        trail.append("reply", person="cem", private="c")
    with AuditTrail(tmp_path / "t.jsonl") as again:
        assert [r.private for r in again.records()] == ["a", "c"] and again.verify().ok


KILLED = """
import os, sys
from crmeval.layer.audit_trail import AuditTrail
steps, ends_at = 0, int(sys.argv[2])

def counted(work):
    def one(*given, **options):
        global steps
        steps += 1
        if steps > ends_at:
            os._exit(9)  # as kill -9: nothing is written, nothing is tidied up
        return work(*given, **options)
    return one

with AuditTrail(sys.argv[1], key=b"k" * 32) as trail:
    for name in ("open", "write", "pwrite", "fsync", "replace", "ftruncate"):
        setattr(os, name, counted(getattr(os, name)))
    trail.erase("ana")
    os._exit(0)
"""


def private_of(trail, who):
    return [record.private for record in trail.records(person=who) if record.private is not None]


def test_killed_at_any_step_of_an_erase_the_chain_holds_and_the_next_one_ends_it(tmp_path):
    ended = False
    for step in range(60):
        path = tmp_path / str(step) / "t.jsonl"
        with AuditTrail(path, key=KEY) as trail:
            for n in range(6):
                trail.append("step", person=("ana", "ben")[n % 2], private={"name": f"Zoë {n}"})
        code = subprocess.run([sys.executable, "-c", KILLED, str(path), str(step)]).returncode
        assert code in (0, 9)
        with AuditTrail(path, key=KEY) as trail:
            assert trail.verify().ok, step
            assert len(private_of(trail, "ben")) == 3, step
            if code == 0:
                assert private_of(trail, "ana") == [], step
            noted = len(list(trail.records("erased")))
            assert trail.erase("ana") == (0 if noted else 3), step
            assert private_of(trail, "ana") == [] and len(private_of(trail, "ben")) == 3
            assert [r.content["records"] for r in trail.records("erased", person="ana")] == [3], step
            assert trail.verify().ok
        if code == 0:
            ended = True
            break
    assert ended and step > 4


def test_an_erase_beside_threads_that_write_loses_nobodys_key(tmp_path):
    path = tmp_path / "t.jsonl"
    with AuditTrail(path, key=KEY) as trail:
        for n in range(300):
            trail.append("step", person=f"old{n}", private={"n": n})

        def write(k):
            for n in range(60):
                trail.append("step", person=f"new{k}-{n}", private={"n": n})

        threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        gone = [trail.erase(f"old{n}") for n in range(40)]
        for thread in threads:
            thread.join()
        assert gone == [1] * 40
    with AuditTrail(path, key=KEY) as trail:
        assert trail.verify().ok
        lost = [r.n for r in trail.records("step") if r.forgotten]
        assert len(lost) == 40 and len(list(trail.records("erased"))) == 40


def test_who_comes_back_is_forgotten_again_and_counted_once(tmp_path):
    with AuditTrail(tmp_path / "t.jsonl", key=KEY) as trail:
        for times in (2, 3):
            for _ in range(times):
                trail.append("step", person="ana", private={"name": "Zoë"})
            assert trail.erase("ana") == times
        assert trail.erase("ana") == 0 and trail.erase("nobody") == 0
        assert [r.content["records"] for r in trail.records("erased")] == [2, 3]
