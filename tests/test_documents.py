"""Folders of documents with whatever was put into them: one bad file among many stops nothing."""

import io
import os
import random
import time
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval.connect.document import ASSUMED, Document, DocumentLimits, NotReadable, Unread, decoded
from crmeval.connect.documents import DOCUMENT_KINDS, Found, document_row, find_documents, read_documents
from crmeval.connect.plain_documents import PLAIN_READERS, read_html, read_md, read_vtt

L = DocumentLimits()


def docx_bytes(*paragraphs):
    docx = pytest.importorskip("docx")
    document, held = docx.Document(), io.BytesIO()
    for text in paragraphs:
        document.add_paragraph(text)
    document.save(held)
    return held.getvalue()


def zip_bytes(members, compression=zipfile.ZIP_DEFLATED):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return held.getvalue()


def ill_files():
    "name -> (bytes, words of the reason)"
    word, good = "word/document.xml", docx_bytes("A paragraph.")
    bomb = zip_bytes([(word, b"0" * 3_000_000)])
    many = zip_bytes([(f"f{n}", b"") for n in range(60)])
    return {
        "bomb.docx": (bomb, "says that it holds 3,000,000 bytes"),
        "liar.docx": (
            bomb.replace((3_000_000).to_bytes(4, "little"), (9).to_bytes(4, "little")),
            "is broken",
        ),
        "many.docx": (many, "holds 60 files, more than 50"),
        "half.docx": (good[: len(good) // 2], "is broken"),
        "renamed.docx": (b"%PDF-1.4", "is broken"),
        "old.docx": (b"\xd0\xcf\x11\xe0" + bytes(600), "before 2007"),
        "half.pdf": (b"%PDF-1.7\n1 0 obj\n<<", "is broken"),
        "renamed.pdf": (good, "is no PDF"),
        "picture.txt": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(90), "is no text"),
        "empty.md": (b"", "is empty"),
        "blank.html": (b"<html><body>  </body></html>", "is empty"),
        "large.txt": (b"a" * 300_000, "has 300,000 bytes, more than 200,000"),
        "notes.vtt": (b"Agent: good morning", "is no transcript"),
        "list.xyz": (b"a", "of no known kind (.xyz)"),
        "noend": (b"a", "of no known kind (no ending)"),
    }


def test_each_ill_file_is_told_and_the_others_are_read(tmp_path):
    ill, few = ill_files(), DocumentLimits(file_bytes=200_000, members=50, inflated_bytes=2_000_000)
    for n in range(200):
        (tmp_path / f"good_{n:03}.txt").write_text(f"Article {n}\n\nWithin {n} days.")
    for name, (data, _) in ill.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "good.docx").write_bytes(docx_bytes("A paragraph."))
    read = list(read_documents(tmp_path, few))
    told = {one.path: one.reason for one in read if isinstance(one, Unread)}
    assert {name: told.get(name, "read") for name in ill} == told
    for name, (_, words) in ill.items():
        assert words in told[name], (name, told[name])
    assert sum(isinstance(one, Document) for one in read) == 201
    assert read[0].path <= "bomb.docx" or read[0].id <= "bomb.docx"


def test_what_lies_elsewhere_is_not_read(tmp_path):
    inside, outside = tmp_path / "docs", tmp_path / "private"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text("a secret")
    (inside / "sub" / "own.txt").write_text("mine")
    (inside / "file.txt").symlink_to(outside / "secret.txt")
    (inside / "folder").symlink_to(outside, target_is_directory=True)
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    (inside / "twice.txt").symlink_to(inside / "sub" / "own.txt")
    (inside / "zero.txt").symlink_to("/dev/zero")
    (inside / "gone.txt").symlink_to(inside / "nothing.txt")
    read = list(read_documents(inside))
    assert [d.id for d in read if isinstance(d, Document)] == ["sub/own.txt"]
    told = {u.path: u.reason for u in read if isinstance(u, Unread)}
    assert {told[n] for n in ("file.txt", "folder", "zero.txt")} == {"is a link that leaves the folder"}
    assert told["loop"] == told["twice.txt"] == "is a link to another place in the folder"


def test_a_link_put_in_place_of_a_file_after_listing_is_not_followed(tmp_path):
    secret, file = tmp_path / "secret", tmp_path / "docs" / "a.txt"
    secret.write_text("a secret")
    file.parent.mkdir()
    file.write_text("mine")
    from crmeval.connect.documents import read_document

    found = next(iter(find_documents(file.parent)))
    file.unlink()
    file.symlink_to(secret)
    assert isinstance(read_document(found), Unread)
    file.unlink()
    assert "cannot be read" in read_document(found).reason


def test_ids_digests_and_rows_stay_when_the_folder_moves(tmp_path):
    (tmp_path / "a" / "sub").mkdir(parents=True)
    (tmp_path / "a" / "sub" / "x.md").write_text("---\ndate: 2026-01-02\n---\n# Title\ntext")
    before = next(iter(read_documents(tmp_path / "a")))
    os.rename(tmp_path / "a", tmp_path / "b")
    after = next(iter(read_documents(tmp_path / "b")))
    assert document_row(before) == document_row(after)
    assert (after.id, after.title, after.fields["date"]) == ("sub/x.md", "Title", "2026-01-02")
    assert after.modified.tzinfo is not None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_letters_come_back(text, encoding):
    said = "Zeile \u00e4\u00f6: " + "".join(c for c in text if c.isprintable())
    try:
        assert decoded(said.encode(encoding))[0] == said
    except NotReadable as error:
        assert "zero" in str(error) and "\0" in said


@settings(max_examples=60, deadline=None)
@given(st.text("abc\u00e9\u00df\u20ac ,.", min_size=1, max_size=80))
def test_old_letters_are_read_and_it_is_told(text):
    data = ("\u00e9x" + text).encode("cp1252")
    got, encoding = decoded(data)
    assert encoding == ASSUMED and got == "\u00e9x" + text


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PLAIN_READERS)), st.binary(max_size=400))
def test_no_bytes_break_a_reader(kind, data):
    try:
        contents = PLAIN_READERS[kind](data, L)
    except NotReadable as error:
        assert len(str(error)) < 200
    else:
        assert any(s.text or s.title for s in contents.sections)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.text("abc xyz", min_size=1, max_size=12)), min_size=1, max_size=8
    )
)
def test_titles_of_markdown_and_html_are_the_same(titles):
    named = [(level, "t" + " ".join(f"{t}e".split())) for level, t in titles]
    md = "\n\n".join(f"{'#' * level} {t}\n\nsome words" for level, t in named)
    page = "".join(f"<h{level}>{t}</h{level}><p>some words</p>" for level, t in named)
    for contents in (read_md(md.encode(), L), read_html(page.encode(), L)):
        assert [(s.level, s.title) for s in contents.sections] == named
        assert {s.text.strip() for s in contents.sections} == {"some words"}


def test_transcript_says_all_its_words_in_order():
    rng = random.Random(4)
    said = [(rng.choice("AB"), f"word{n}") for n in range(300)]
    cues = [
        f"00:{n // 60:02}:{n % 60:02}.000 --> 00:{n // 60:02}:{n % 60:02}.900\n<v {w}>{t}"
        for n, (w, t) in enumerate(said)
    ]
    text = read_vtt(("WEBVTT\n\n" + "\n\n".join(cues)).encode(), L).sections[0].text
    assert [w for w in text.replace("\n", " ").split() if w.startswith("word")] == [t for _, t in said]
    assert all(line[0] in "AB" for line in text.split("\n"))


@pytest.mark.parametrize(
    "piece",
    [
        "<h1>",
        "<!--",
        "<script>",
        "<title",
        "# \n",
        "```\n",
        "a\n---\n",
        "<v ",
        "\n--",
        "From: a\n",
        "00:0",
        "<p ",
    ],
)
def test_endless_pieces_take_no_time(piece):
    data = ("WEBVTT\n" * (piece == "<v ") + piece * (50_000 // len(piece))).encode()
    for reader in PLAIN_READERS.values():
        start = time.process_time()
        try:
            reader(data, L)
        except NotReadable:
            pass
        assert time.process_time() - start < 3, (piece, reader.__name__)


def test_kinds_are_listed_without_opening(tmp_path):
    for ending in DOCUMENT_KINDS:
        (tmp_path / f"f{ending}").write_bytes(b"")
    assert all(isinstance(f, Found) for f in find_documents(tmp_path))
    assert len({f.kind for f in find_documents(tmp_path)}) == 7


def test_warnings_of_a_package_stand_in_the_record_and_not_on_standard_error(tmp_path, capfd):
    pypdf = pytest.importorskip("pypdf")
    held, writer = io.BytesIO(), pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    stream = pypdf.generic.DecodedStreamObject()
    stream.set_data(b"BT (Within 30 days.) Tj ET")
    page[pypdf.generic.NameObject("/Contents")] = writer._add_object(stream)
    writer.write(held)
    for n in range(3):
        (tmp_path / f"{n}.pdf").write_bytes(held.getvalue().replace(b"startxref\n", b"startxref\n7"))
    read = list(read_documents(tmp_path))
    for one in read:
        told = one.fields["warnings"] if isinstance(one, Document) else one.reason
        assert "startxref" in told or "no text" in told
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
