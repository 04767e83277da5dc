"An index follows its sources and reports what it finds: the commands crmeval index and crmeval retrieval."

import json
import os
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmeval.cli.app import main
from crmeval.connect.sources import Source
from crmeval.layer.chunks import chunks
from crmeval.layer.index import Index, Query
from crmeval.layer.index_sources import Taken, documents_of_source, index_documents, index_rows
from crmeval.layer.vectors import question_direction, text_parts


class Letters:
    "An encoder with one direction per first letter, which reads twelve words."

    dimensions, longest = 26, 14

    def settings(self):
        return {"encoder": "letters"}

    def pieces(self, text):
        return [(ord(w[0].lower()) - 97) % 26 for w in text.split()]

    def encode(self, texts):
        rows = np.array([np.bincount(self.pieces(t)[:12], minlength=26) + 1e-3 for t in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "break", "drop", "run"]), st.integers(0, 3), st.sampled_from("abc")),
    max_size=14,
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_an_index_is_what_one_made_anew_of_the_last_good_texts_would_be(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("kb")
    (folder / "help").mkdir()
    source, clock, good, bad = Source("help", "documents", "help", folder=folder), 1_700_000_000, {}, set()
    index = Index(folder / "kb.index")
    for what, n, letter in [*steps, ("run", 0, "a")]:
        page = folder / "help" / f"p{n}.md"
        clock += 10
        if what == "write":
            page.write_text(f"# Page {n}\n\nword{letter} {letter * 3}.\n\n## More\n\nmore of {n}.")
            good[n] = page.read_text()
            bad.discard(n)
        elif what == "break":
            index_documents(index, source)  # so that good texts have been read before
            page.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(90))
            bad.add(n)
        elif what == "drop":
            page.unlink(missing_ok=True)
            good.pop(n, None)
            bad.discard(n)
        if page.exists():
            os.utime(page, (clock, clock))
        if what != "run":
            continue
        done = index_documents(index, source)
        assert documents_of_source(index, "help") == {f"help/p{n}.md": 2 for n in good}
        assert (done.kept, len(done.unread)) == (len(bad & set(good)), len(bad))
        for letter in "abc":
            found = {p.document for p in index.search(f"word{letter}")}
            assert found == {f"help/p{n}.md" for n, text in good.items() if f"word{letter}" in text}
    again = index_documents(index, source)
    assert (again.new, again.changed, again.removed) == (0, 0, 0)
    index.close()


def test_sources_share_an_index_and_leave_each_other_alone(tmp_path):
    for name in ("help", "terms"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.txt").write_text(f"The {name} say so.")
    index = Index(tmp_path / "kb.index")
    for name in ("help", "terms"):
        index_documents(index, Source(name, "documents", name, folder=tmp_path))
    index_rows(index, "crm", [{"id": "same.txt", "text": "The record says so."}])
    assert index.documents() == ["crm/same.txt", "help/same.txt", "terms/same.txt"]
    (tmp_path / "help" / "same.txt").unlink()
    assert index_documents(index, Source("help", "documents", "help", folder=tmp_path)).removed == 1
    assert index.documents() == ["crm/same.txt", "terms/same.txt"]
    with pytest.raises(ValueError, match="another folder under the name 'terms'"):
        index_documents(index, Source("terms", "documents", "help", folder=tmp_path))
    index.close()


def test_a_wrong_row_takes_nothing_away(tmp_path):
    index = Index(tmp_path / "kb.index")
    index_rows(index, "crm", [{"id": n, "text": f"Article {n}."} for n in range(3)])
    with pytest.raises(ValueError, match="crm, row 2: id is"):
        index_rows(index, "crm", [{"id": 0, "text": "Article 0."}, {"text": "no id"}])
    assert index.count() == 3
    assert index_rows(index, "crm", []).removed == 3
    index.close()


def test_readers_of_a_source_are_kept_from_others(tmp_path):
    (tmp_path / "staff").mkdir()
    (tmp_path / "staff" / "margin.md").write_text("# Margin\n\nA pump may be sold 15% below its price.")
    index, source = Index(tmp_path / "kb.index"), Source("staff", "documents", "staff", folder=tmp_path)
    index_documents(index, source, Taken(allowed=["sales"]))
    assert index.search("pump price") == []
    assert [p.document for p in index.search("pump price", who="sales")] == ["staff/margin.md"]
    index_documents(index, source, Taken(allowed=["board"]))  # other readers, though no file changed
    assert index.search("pump price", who="sales") == []
    assert len(index.search("pump price", who="board")) == 1
    index.close()


# ---- meaning beside words
def test_a_title_colours_every_part_and_no_word_is_lost():
    text = " ".join(f"{letter}ord" for letter in "abcdefghijklmnopqrstuvwxyz")
    parts = text_parts("Title here", text, Letters())
    assert all(p.startswith("Title here: ") for p in parts)
    assert " ".join(p.removeprefix("Title here: ") for p in parts) == text


def test_a_long_question_is_read_to_its_end():
    encoder, long = Letters(), "apple " * 12 + ". " + "zebra " * 12
    there = question_direction(long, (), 0.0, encoder)
    assert (
        encoder.encode(["zebra"])[0] @ there > 0.5 > encoder.encode([long])[0] @ encoder.encode(["zebra"])[0]
    )


@settings(deadline=None)
@given(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=3), st.floats(0, 1))
def test_a_question_has_a_direction_whatever_is_said(text, before, weight):
    class Any(Letters):
        def pieces(self, text):
            return [zlib.crc32(w.encode("utf-8", "surrogatepass")) % 26 for w in text.split()]

    found = question_direction(text, before, weight, Any())
    assert np.isfinite(found).all() and abs(np.linalg.norm(found) - 1) < 1e-3


def test_words_are_put_on_the_scale_of_meaning(tmp_path):
    index = Index(tmp_path / "kb.index", encoder=Letters())
    index.add(
        [
            {"id": "w", "document": "w", "text": "lamp lamp lamp lamp"},
            {"id": "m", "document": "m", "text": "light left lower low"},
            {"id": "o", "document": "o", "text": "zebra"},
        ]
    )
    for query in ("lamp", Query("lamp", ("zebra",))):
        words = index.search(query, meaning=0.0)
        meaning = index.search(query, how="meaning")
        both = index.search(query, meaning=0.5)
        assert words[0].id == both[0].id == "w"
        assert words[0].score == pytest.approx(meaning[0].score, abs=1e-5)
        assert both[0].score <= meaning[0].score + 1e-5
    index.close()


# ---- the commands
@pytest.fixture
def desk(tmp_path):
    (tmp_path / "help").mkdir()
    for name in ("refund", "repair", "return"):
        (tmp_path / "help" / f"{name}.md").write_text(f"# {name}\n\nA {name} takes five days.")
    rows = [{"question": f"How long is a {n}?", "documents": [f"help/{n}.md"]} for n in ("refund", "repair")]
    rows.append({"question": "Zebra?", "documents": []})
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def told(capsys, *words):
    code = main([*map(str, words)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_from_a_folder_to_figures(desk, capsys):
    kb = desk / "kb.sqlite"
    code, out, _ = told(capsys, "index", desk / "help", "--out", kb, "--field", "language=en", "--json")
    (done,) = json.loads(out)["sources"]
    assert (code, done["source"], done["new"], done["documents"]) == (0, "help", 3, 3)
    code, out, _ = told(capsys, "retrieval", desk / "asked.jsonl", "--index", kb, "--k", 2, "--json")
    figures = {f["figure"]: f for f in json.loads(out)["figures"]}
    assert code == 0 and figures["recall@2"]["value"] == figures["mrr@2"]["value"] == 1.0
    assert figures["recall@2"]["n"] == 2 and figures["auc"]["value"] == 1.0
    command = ("retrieval", desk / "asked.jsonl", "--index", kb)
    code, out, _ = told(capsys, *command, "--where", "language=fr", "--json")
    assert {f["figure"]: f["value"] for f in json.loads(out)["figures"]}["recall@10"] == 0.0
    (desk / "help" / "refund.md").unlink()
    assert told(capsys, "index", desk / "help", "--out", kb, "--field", "language=en")[0] == 0
    code, _, err = told(capsys, *command)
    assert code == 2 and "needs 'help/refund.md', and the index has no such document" in err


@pytest.mark.parametrize(
    "words, expected",
    [
        ("index", "index needs SOURCE"),
        ("index {0}/help", "--out is missing"),
        ("index {0}/hlep --out {0}/kb", "expected a folder of documents, or a catalogue"),
        ("index {0}/help --out {0}/kb --size ten", "--size is 'ten', expected a whole number"),
        ("index {0}/help --out {0}/kb --where product", "expected FIELD=VALUE"),
        ("index {0}/help --out {0}/help", "is a folder, expected a file"),
        ("index {0}/help --out {0}/asked.jsonl", "is not an index"),
        ("retrieval {0}/asked.jsonl", "--index is missing"),
        ("retrieval {0}/asked.jsonl --index {0}/kb", "there is no index"),
        ("retrieval {0}/asked.jsonl --index {0}/kb --how sense", "--how is 'sense', expected one of words"),
        ("retrieval dstc12", "neither a retrieval set nor a folder"),
    ],
)
def test_wrong_words_end_in_one_sentence_and_make_no_file(desk, capsys, words, expected):
    code, out, err = told(capsys, *words.format(desk).split())
    assert code == 2 and expected in err and len(err.strip().splitlines()) == 1, err
    assert not (desk / "kb").exists()


def test_passages_of_a_document_are_those_of_chunks(desk):
    index = Index(desk / "kb.index")
    index_documents(index, Source("help", "documents", "help", folder=desk))
    (passage,) = chunks(
        {"id": "help/repair.md", "title": "repair", "text": "# repair\n\nA repair takes five days."}
    )
    assert index.get(passage.id).text == passage.text
    index.close()


def test_what_went_stands_nowhere_in_the_files(tmp_path):
    (tmp_path / "help").mkdir()
    for n in range(30):
        (tmp_path / "help" / f"p{n}.md").write_text(f"# Page {n}\n\nCommon words of page {n}.")
    gone = tmp_path / "help" / "zanzibarium.md"
    gone.write_text("# Xylophonia\n\nQuokkamania.")
    source, index = Source("help", "documents", "help", folder=tmp_path), Index(tmp_path / "kb.index")
    index_documents(index, source)
    gone.unlink()
    assert index_documents(index, source).removed == 1
    index.close()
    content = b"".join(p.read_bytes().lower() for p in tmp_path.glob("kb.index*"))
    for word in (b"zanzibarium", b"xylophon", b"quokkaman"):
        assert word not in content, word
