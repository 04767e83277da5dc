"An index of passages: no reader learns of what she may not read; nothing in a question or a field is obeyed."

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
    "A stand-in for an encoder: counts letters."

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
from crmeval.layer.index import Index
index = Index(sys.argv[1])
def pages():
    yield {"id": "a", "document": "a", "text": "new words of the lamp"}
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
index.add(pages())
"""


def test_two_processes_share_a_file_and_a_killed_one_leaves_it_as_it_was(tmp_path):
    path = tmp_path / "kb"
    index = Index(path, unmarked="everybody")
    index.add([{"id": "a", "document": "a", "text": "old words of the lamp"}])
    for how, code, held in (("kill", -9, "old"), ("end", 0, "new")):
        words = [sys.executable, "-c", WRITER, str(path), how]
        done = subprocess.run(words, capture_output=True, timeout=60, env=os.environ)
        assert done.returncode == code, done.stderr
        assert index.search("lamp")[0].text.startswith(held)
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
