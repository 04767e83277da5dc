"An index of passages: readers learn nothing of hidden ones; no question or field is executed as a query."

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmeval.layer.index import Index

WORDS = ["lamp", "router", "seal", "repair", "refund", "north", "five", "days", "code", "visit"]
READERS = ["staff", "sales", "ana", "bo"]


class Letters:
    "A stand-in for an encoder that counts letters."

    dimensions, longest = 26, 60

    def settings(self):
        return {"encoder": "letters"}

    def pieces(self, text):
        return [ord(c) - 97 for c in text.lower() if "a" <= c <= "z"][:40] or [0]

    def encode(self, texts):
        rows = np.array([np.bincount(self.pieces(t), minlength=26)[:26] + 0.01 for t in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


PAGES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
        st.one_of(st.none(), st.lists(st.sampled_from(READERS), max_size=2)),
        st.sampled_from(["north", "south"]),
    ),
    min_size=1,
    max_size=12,
)


def passages(pages):
    for n, (words, allowed, region) in enumerate(pages):
        page = {"id": f"p{n}", "document": f"d{n}", "text": " ".join(words), "region": region}
        yield page if allowed is None else page | {"allowed": allowed}


@pytest.mark.parametrize("encoder", [None, Letters()], ids=["words", "both"])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pages=PAGES,
    who=st.lists(st.sampled_from([*READERS, "nobody"]), max_size=2),
    asked=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
    region=st.sampled_from([None, "north"]),
)
def test_what_is_hidden_is_as_if_it_were_not_there(tmp_path_factory, encoder, pages, who, asked, region):
    folder, every = tmp_path_factory.mktemp("kb"), list(passages(pages))
    seen = [p for p in every if "allowed" not in p or set(p["allowed"]) & set(who)]
    whole = Index(folder / "whole", unmarked="everybody", encoder=encoder)
    part = Index(folder / "part", unmarked="everybody", encoder=encoder)
    whole.add(every)
    part.add(seen)
    where = {"region": region} if region else None
    question = " ".join(asked)
    found = [
        [(p.id, round(p.score, 5)) for p in index.search(question, 20, where, who=readers)]
        for index, readers in ((whole, who), (part, READERS))
    ]
    assert {i for i, _ in found[0]} <= {p["id"] for p in seen}
    assert sorted(found[0]) == sorted(found[1])
    assert whole.count(where, who=who) == part.count(where, who=READERS)
    whole.close()
    part.close()


HOSTILE = [
    '" OR 1=1 --',
    "lamp AND NOT repair NEAR(seal)",
    "text:lamp *",
    "lamp^2 (",
    "lamp\x00staff",
    "\u202elamp\u202c 🪔",
    "lamp " * 10_000,
    "-" * 50_000,
    "'; DROP TABLE passages; --",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_question_is_words_and_nothing_else(tmp_path, text):
    index = Index(tmp_path / "kb", unmarked="nobody", encoder=Letters())
    index.add([{"id": "a", "document": "a", "text": "the lamp", "allowed": ["staff"]}])
    assert index.search(text) == [] and index.search(text, who=text[:100]) == []
    assert [p.id for p in index.search(text, who=["staff"])] in ([], ["a"])
    assert index.search("lamp", where={text[:200]: "x"}, who=["staff"]) == []
    assert index.search("lamp", where={"region": text[:200]}, who=["staff"]) == []
    assert index.count(who=["staff"]) == 1


WRITER = """
import os, signal, sys
from crmeval.layer import index_file
from crmeval.layer.index import Index
index, put = Index(sys.argv[1]), index_file.IndexFile._put
def killed(*args):
    put(*args)
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "kill":
    index_file.IndexFile._put = killed
index.replace("a", [{"id": "a", "document": "a", "text": "new words of the lamp"}])
"""


def test_two_processes_share_a_file_and_a_killed_one_leaves_it_as_it_was(tmp_path):
    path = tmp_path / "kb"
    index = Index(path, unmarked="everybody")
    index.add([{"id": "a", "document": "a", "text": "old words of the lamp"}])
    for how, code, start in (("kill", -9, "old"), ("end", 0, "new")):
        words = [sys.executable, "-c", WRITER, str(path), how]
        done = subprocess.run(words, capture_output=True, timeout=60, env=os.environ)
        assert done.returncode == code, done.stderr
        assert index.search("lamp")[0].text.startswith(start)
    assert index.remove("a") == 1 and index.search("lamp") == [] and index.count() == 0


def test_an_encoder_that_stopped_half_way_goes_on(tmp_path):
    class Tired(Letters):
        left = 1

        def encode(self, texts):
            if not self.left:
                raise RuntimeError("the encoder is away")
            self.left -= 1
            return super().encode(texts)

    pages = [{"id": f"p{n}", "document": f"d{n}", "text": f"{w} {w}"} for n, w in enumerate(WORDS * 10)]
    with pytest.raises(RuntimeError, match="away"):
        Index(tmp_path / "kb", unmarked="everybody", encoder=Tired()).add(pages)
    again = Index(tmp_path / "kb", encoder=Letters())
    assert again.count() == 100 and again.read_on() == 0
    assert again.search("lamp", 1, how="meaning")[0].text == "lamp lamp"


def test_a_reader_and_a_writer_at_the_same_moment_see_whole_states(tmp_path):
    index = Index(tmp_path / "kb", unmarked="everybody")
    index.replace("a", [{"id": f"a{k}", "document": "a", "text": "old lamp"} for k in range(30)])
    with index.file.reading():  # a snapshot from the first statement on
        assert index.count() == 30
        Index(tmp_path / "kb").replace("a", [{"id": "b", "document": "a", "text": "new lamp"}])
        assert {p.text for p in index.search("lamp", 50)} == {"old lamp"} and index.count() == 30
    assert [p.text for p in index.search("lamp", 50)] == ["new lamp"]


@pytest.mark.parametrize("others", [0, 1, 300])
def test_what_is_removed_stands_nowhere_in_the_files(tmp_path, others):
    path = tmp_path / "kb"
    index = Index(path, unmarked="everybody", encoder=Letters())
    index.add({"id": f"o{k}", "document": f"o{k}", "text": f"a lamp of kind {k}"} for k in range(others))
    secret = {
        "id": "quillworth",
        "document": "q",
        "title": "Zephyrine",
        "text": "Marrowbone lives in Tarnsgate.",
    }
    index.add(
        {**secret, "allowed": ["vellacott"], "city": "ottoline", "url": "https://x.example/brackenridge"}
    )
    index.replace("r", [{"id": "r", "document": "r", "text": "the thistledown lamp"}])
    index.replace("r", [{"id": "r", "document": "r", "text": "another lamp"}])
    assert index.remove("q") == 1
    content = b"".join(p.read_bytes() for p in tmp_path.iterdir()).lower()
    planted = (
        "quillworth zephyrine zephyrin marrowbon tarnsgat vellacott ottoline brackenridge thistledown".split()
    )
    assert [w for w in planted if w.encode() in content] == []
    assert index.count() == others + 1 and index.search("another")[0].id == "r"


def test_a_file_that_somebody_reads_is_emptied_later(tmp_path):
    path = tmp_path / "kb"
    index, other = Index(path, unmarked="everybody"), Index(path)
    index.add([{"id": "q", "document": "q", "text": "Marrowbone"}])
    with other.file.reading() as base:
        base.execute("SELECT count(*) FROM passages").fetchone()
        index.file._connection().execute("PRAGMA busy_timeout = 50")
        assert index.remove("q") == 1 and not index.forget()
    assert index.forget() and index.forget()
    assert not any(b"marrowbon" in p.read_bytes().lower() for p in tmp_path.iterdir())


def test_two_encoders_do_not_race_for_a_new_file(tmp_path):
    class Other(Letters):
        def settings(self):
            return {"encoder": "other"}

    Index(tmp_path / "kb", unmarked="everybody", encoder=Letters())
    with pytest.raises(ValueError, match="another encoder"):
        Index(tmp_path / "kb", encoder=Other())


def test_all_words_of_a_long_question_count(tmp_path):
    index = Index(tmp_path / "kb", unmarked="everybody")
    index.add([{"id": "a", "document": "a", "text": "marigold"}])
    long = " ".join(f"word{chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(200))
    assert [p.id for p in index.search(f"{long} marigold")] == ["a"]


@pytest.mark.parametrize("name", ["Allowed", "ALLOWED", " allowed", "aLLowed "])
@pytest.mark.parametrize("unmarked", ["everybody", "nobody"])
def test_readers_in_other_capitals_open_nothing(tmp_path, name, unmarked):
    index = Index(tmp_path / "i", unmarked=unmarked)
    with pytest.raises(ValueError, match="'allowed' lists who may read it"):
        index.add([{"id": "1", "text": "secret", "document": "d", name: ["staff"]}])
    assert index.count(who="staff") == index.count() == 0
