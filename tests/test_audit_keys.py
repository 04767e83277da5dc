"The audit trail against its keys: removed, exchanged, brought back, lost by a power failure."

import json
import os
import random
import threading

import pytest

from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.person_keys import AuditError

pytest.importorskip("cryptography")
KEY = b"k" * 32


def trail_of(folder, people, records, seed=0):
    "Write records about people, in any order; return (path of the trail, path of the keys)."
    rng, path = random.Random(seed), folder / "t.jsonl"
    with AuditTrail(path, key=KEY) as trail:
        for n in range(records):
            who = n if n < people else rng.randrange(people)
            trail.append(rng.choice(["prompt", "answer"]), person=f"p{who}", private={"text": f"words {n}"})
            if rng.random() < 0.3:
                trail.append("note", person=f"p{who}", n=n)  # about a person, with nothing sealed
    return path, path.with_name("t.jsonl.persons")


def verified(path):
    return AuditTrail(path, key=KEY).verify()


def removed(lines, rng):
    n = rng.randrange(len(lines))
    return lines[:n] + lines[n + 1 :]


def cut(lines, rng):
    return [b"".join(lines)[: -rng.randrange(2, len(lines[-1]) - 1)]]


def changed(lines, rng):
    rows = [json.loads(line) for line in lines]
    row = rng.choice(rows)
    at = rng.randrange(len(row["key"]) - 4)
    row["key"] = row["key"][:at] + ("A" if row["key"][at] != "A" else "B") + row["key"][at + 1 :]
    return [json.dumps(r).encode() + b"\n" for r in rows]


def exchanged(lines, rng):
    rows = [json.loads(line) for line in lines]
    a, b = rng.sample(range(len(rows)), 2)
    rows[a]["key"], rows[b]["key"] = rows[b]["key"], rows[a]["key"]
    return [json.dumps(r).encode() + b"\n" for r in rows]


def renamed(lines, rng):
    rows = [json.loads(line) for line in lines]
    rng.choice(rows)["person"] = "0" * 24
    return [json.dumps(r).encode() + b"\n" for r in rows]


def forgotten(lines, rng):
    "Remove a key and write a note as if the person had been erased, without the master key."
    rest = removed(lines, rng)
    (gone,) = {json.loads(x)["person"] for x in lines} - {json.loads(x)["person"] for x in rest}
    note = {"person": gone, "forgotten": "2026-11-30T00:00:00+00:00", "mac": "0" * 64}
    return [*rest, json.dumps(note).encode() + b"\n"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("how", [removed, cut, changed, exchanged, renamed, forgotten])
def test_a_key_that_was_removed_or_changed_is_found(tmp_path, how, seed):
    path, keys = trail_of(tmp_path, 5, 20, seed)
    assert verified(path).ok
    whole = keys.read_bytes()
    keys.write_bytes(b"".join(how(whole.splitlines(keepends=True), random.Random(seed))))
    try:
        found = verified(path)
        assert not found.ok and "key" in str(found), str(found)
    except AuditError as e:  # the file itself cannot be read
        assert how is forgotten and "is not a key" in str(e)
    keys.write_bytes(whole)
    assert verified(path).ok


def test_a_new_key_does_not_hide_the_old_one_that_was_removed(tmp_path):
    path, keys = trail_of(tmp_path, 3, 9)
    keys.write_bytes(keys.read_bytes().split(b"\n", 1)[1])
    with AuditTrail(path, key=KEY) as trail:
        trail.append("prompt", person="p0", private="again")  # draws a new key
        assert "nobody erased them" in str(trail.verify())


@pytest.mark.parametrize("seed", range(5))
def test_a_backup_that_brings_an_erased_person_back_is_found_until_they_are_erased_again(tmp_path, seed):
    rng = random.Random(seed)
    path, keys = trail_of(tmp_path, 4, 16, seed)
    backup = keys.read_bytes()
    gone = rng.sample(range(4), rng.randint(1, 3))
    with AuditTrail(path, key=KEY) as trail:
        for who in gone:
            assert trail.erase(f"p{who}") > 0
        assert trail.verify().ok
    keys.write_bytes(backup)
    found = verified(path)
    assert len(found.findings) == len(gone) and "erase again" in str(found)
    with AuditTrail(path, key=KEY) as trail:
        for who in gone:
            assert trail.erase(f"p{who}") > 0
        assert trail.verify().ok
        assert {r.forgotten for r in trail.records("prompt", person=f"p{gone[0]}")} <= {True}


def test_whoever_came_back_by_themselves_is_no_finding(tmp_path):
    with AuditTrail(tmp_path / "t.jsonl", key=KEY) as trail:
        for _ in range(3):
            trail.append("prompt", person="ana", private="words")
            assert trail.verify().ok
            trail.erase("ana")
            assert trail.verify().ok
        trail.append("prompt", person="ana", private="words")
        assert trail.verify().ok


def test_verifying_beside_a_writer_of_new_persons_finds_nothing(tmp_path):
    path = tmp_path / "t.jsonl"
    with AuditTrail(path, key=KEY) as trail:
        trail.append("prompt", person="first", private="words")
        auditor, ended = AuditTrail(path, key=KEY), threading.Event()

        def write():
            n = 0
            while not ended.is_set():
                trail.append("prompt", person=f"p{n}", private="words")
                if n % 7 == 3:
                    trail.erase(f"p{n - 1}")
                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(25):
                found = auditor.verify()
                assert not [f for f in found.findings if "key" in f.what], str(found)
        finally:
            ended.set()
            writer.join()


@pytest.mark.skipif(os.name != "posix", reason="reads which file a descriptor is of")
def test_on_disk_a_key_is_safe_before_the_record_that_needs_it(tmp_path, monkeypatch):
    "After a power failure, a record without its key would be lost."
    done, sync, write = [], os.fsync, os.write

    def seen(work, name):
        def one(fd, *given):
            done.append((name, os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))))
            return work(fd, *given)

        return one

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc here")
    monkeypatch.setattr(os, "fsync", seen(sync, "sync"))
    monkeypatch.setattr(os, "write", seen(write, "write"))
    with AuditTrail(tmp_path / "t.jsonl", key=KEY, durable="disk") as trail:
        trail.append("prompt", person="ana", private="words")
    assert done.index(("sync", "t.jsonl.persons")) < done.index(("write", "t.jsonl"))
    assert ("sync", "t.jsonl") in done


@pytest.mark.parametrize("how", ["emptied", "removed", "the head emptied", "the head removed"])
@pytest.mark.parametrize("persons", [1, 2, 7])
def test_a_trail_that_is_emptied_with_its_head_is_told_by_the_keys_of_persons(tmp_path, how, persons):
    path = tmp_path / "audit.jsonl"
    with AuditTrail(path) as trail:
        for n in range(3 * persons):
            trail.append("prompt", person=f"p{n % persons}", private={"text": "Hello"})
        known = trail.verify().head
    if "removed" in how:
        path.unlink()
    else:
        path.write_bytes(b"")
    if how == "the head removed" or how == "removed":
        trail.head_path.unlink()
    else:
        trail.head_path.write_bytes(b"")
    with AuditTrail(path) as again:
        found = again.verify()
        # one key may be older than the first record, if writing that failed
        assert found.ok == (persons == 1)
        assert persons == 1 or f"keys of {persons} persons are there: its records are missing" in str(found)
        assert not again.verify(known).ok


def test_an_emptied_trail_without_persons_is_called_empty_and_a_kept_head_finds_it(tmp_path):
    path = tmp_path / "audit.jsonl"
    with AuditTrail(path) as trail:
        assert trail.verify().ok and "the trail is empty" in str(trail.verify())
        trail.append("answer", tokens=3)
        known = trail.verify().head
    path.write_bytes(b"")
    trail.head_path.write_bytes(b"")
    with AuditTrail(path) as again:
        assert "the trail is empty" in str(again.verify()) and "0 records" not in str(again.verify())
        assert not again.verify(known).ok


def test_a_trail_whose_persons_were_all_forgotten_and_that_is_whole_has_no_finding(tmp_path):
    with AuditTrail(tmp_path / "audit.jsonl") as trail:
        trail.append("prompt", person="p1", private={"text": "Hello"})
        trail.erase("p1")
        assert trail.verify().ok
