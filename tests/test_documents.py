"""Folders of documents with any content: one bad file among many stops nothing."""

import io
import os
import random
import time
import zipfile
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pace import cpu_since

from crmeval.connect.document import ASSUMED, Document, DocumentLimits, NotReadable, Unread, decoded
from crmeval.connect.documents import DOCUMENT_KINDS, Found, document_row, find_documents, read_documents
from crmeval.connect.office_documents import read_docx
from crmeval.connect.plain_documents import PLAIN_READERS, read_eml, read_html, read_md, read_vtt

L = DocumentLimits()


def docx_bytes(*paragraphs):
    docx = pytest.importorskip("docx")
    document, buffer = docx.Document(), io.BytesIO()
    for text in paragraphs:
        document.add_paragraph(text)
    document.save(buffer)
    return buffer.getvalue()


def zip_bytes(members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def ill_files():
    "Return {name: (bytes, words of the expected reason)}."
    word, good = "word/document.xml", docx_bytes("A paragraph.")
    bomb = zip_bytes([(word, b"0" * 3_000_000)])
    many = zip_bytes([(f"f{n}", b"") for n in range(60)])
    return {
        "bomb.docx": (bomb, "declares 3,000,000 bytes"),
        "liar.docx": (
            bomb.replace((3_000_000).to_bytes(4, "little"), (9).to_bytes(4, "little")),
            "is broken",
        ),
        "many.docx": (many, "holds 60 files, more than 50"),
        "half.docx": (good[: len(good) // 2], "is broken"),
        "before.docx": (good[:-6] + b"\xff\xff\xff" + good[-3:], "is broken"),  # a part before the first byte
        "renamed.docx": (b"%PDF-1.4", "is broken"),
        "old.docx": (b"\xd0\xcf\x11\xe0" + bytes(600), "before 2007"),
        "half.pdf": (b"%PDF-1.7\n1 0 obj\n<<", "is broken"),
        "renamed.pdf": (good, "is not a PDF"),
        "picture.txt": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(90), "is not text"),
        "empty.md": (b"", "is empty"),
        "blank.html": (b"<html><body>  </body></html>", "is empty"),
        "large.txt": (b"a" * 300_000, "has 300,000 bytes, more than 200,000"),
        "notes.vtt": (b"Agent: good morning", "is not a transcript"),
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
    reasons = {one.path: one.reason for one in read if isinstance(one, Unread)}
    assert {name: reasons.get(name, "read") for name in ill} == reasons
    for name, (_, words) in ill.items():
        assert words in reasons[name], (name, reasons[name])
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
    reasons = {u.path: u.reason for u in read if isinstance(u, Unread)}
    assert {reasons[n] for n in ("file.txt", "folder", "zero.txt")} == {"is a link that leaves the folder"}
    assert reasons["loop"] == reasons["twice.txt"] == "is a link to another place in the folder"


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
    line = "Zeile \u00e4\u00f6: " + "".join(c for c in text if c.isprintable())
    try:
        assert decoded(line.encode(encoding))[0] == line
    except NotReadable as error:
        assert "zero" in str(error) and "\0" in line


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
    turns = [(rng.choice("AB"), f"word{n}") for n in range(300)]
    cues = [
        f"00:{n // 60:02}:{n % 60:02}.000 --> 00:{n // 60:02}:{n % 60:02}.900\n<v {w}>{t}"
        for n, (w, t) in enumerate(turns)
    ]
    text = read_vtt(("WEBVTT\n\n" + "\n\n".join(cues)).encode(), L).sections[0].text
    assert [w for w in text.replace("\n", " ").split() if w.startswith("word")] == [t for _, t in turns]
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
        assert cpu_since(start) < 3, (piece, reader.__name__)


def test_kinds_are_listed_without_opening(tmp_path):
    for ending in DOCUMENT_KINDS:
        (tmp_path / f"f{ending}").write_bytes(b"")
    assert all(isinstance(f, Found) for f in find_documents(tmp_path))
    assert len({f.kind for f in find_documents(tmp_path)}) == 7


def test_warnings_of_a_package_stand_in_the_record_and_not_on_standard_error(tmp_path, capfd):
    pypdf = pytest.importorskip("pypdf")
    buffer, writer = io.BytesIO(), pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    stream = pypdf.generic.DecodedStreamObject()
    stream.set_data(b"BT (Within 30 days.) Tj ET")
    page[pypdf.generic.NameObject("/Contents")] = writer._add_object(stream)
    writer.write(buffer)
    for n in range(3):
        (tmp_path / f"{n}.pdf").write_bytes(buffer.getvalue().replace(b"startxref\n", b"startxref\n7"))
    read = list(read_documents(tmp_path))
    for one in read:
        warned = one.fields["warnings"] if isinstance(one, Document) else one.reason
        assert "startxref" in warned or "no text" in warned
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


WORDS = st.text("abcdefgh", min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["plain", "html", "calendar"]), WORDS), min_size=1, max_size=6))
def test_every_part_that_a_mail_shows_is_read_and_of_alternatives_one(parts):
    mail = MIMEMultipart("mixed")
    mail["Subject"] = "invented"
    for kind, word in parts:
        mail.attach(MIMEText(f"<p>{word}</p>" if kind == "html" else word, kind))
    both = MIMEMultipart("alternative")
    both.attach(MIMEText("lastplain"))
    both.attach(MIMEText("<p>lasthtml</p>", "html"))
    mail.attach(both)
    inner = MIMEText("what was forwarded")
    inner["Subject"] = "an older mail"
    mail.attach(MIMEMessage(inner))
    read = read_eml(mail.as_bytes(), DocumentLimits())
    shown = [word for kind, word in parts if kind != "calendar"]
    assert read.sections[0].text.split() == [*shown, "lastplain"]
    assert read.fields["attachments"] == ["an older mail"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["Ann", "Bo Li", "Zoë"]), WORDS), min_size=1, max_size=6))
@pytest.mark.parametrize("form", ["one cue, closed", "one cue, open", "a cue each", "names in the text"])
def test_each_word_of_a_transcript_stays_with_who_said_it(form, turns):
    time = "00:00:01.000 --> 00:00:02.000\n"
    lines = [(f"<v {who}>{what}</v>" if "closed" in form else f"<v {who}>{what}") for who, what in turns]
    if form == "names in the text":
        lines = [f"{who}: {what}" for who, what in turns]
    cues = [" ".join(lines)] if form.startswith("one") else lines
    text = "WEBVTT\n\n" + "\n\n".join(time + cue for cue in cues) + "\n"
    read = read_vtt(text.encode(), DocumentLimits())
    pairs = [
        (who, word)
        for line in read.sections[0].text.splitlines()
        for who, _, words in [line.partition(": ")]
        for word in words.split()
    ]
    assert pairs == turns
    assert read.fields["speakers"] == list(dict.fromkeys(who for who, _ in turns))


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
RUN = "<w:r><w:t>{}</w:t></w:r>"
HIDDEN = "<w:r><w:rPr><w:vanish{}/></w:rPr><w:t>{}</w:t></w:r>"
SHOWN = {
    "plain": RUN,
    "put in": f'<w:ins w:id="1" w:author="a">{RUN}</w:ins>',
    "a field": f"<w:sdt><w:sdtContent>{RUN}</w:sdtContent></w:sdt>",
    "a link": f"<w:hyperlink>{RUN}</w:hyperlink>",
    "shown again": HIDDEN.format(' w:val="0"', "{}"),
}
UNSHOWN = {
    "taken out": '<w:del w:id="2" w:author="a"><w:r><w:delText>{}</w:delText></w:r></w:del>',
    "moved away": f'<w:moveFrom w:id="3" w:author="a">{RUN}</w:moveFrom>',
    "hidden": HIDDEN.format("", "{}"),
}


@given(st.lists(st.sampled_from([*SHOWN, *UNSHOWN]), min_size=1, max_size=6), st.booleans())
@settings(deadline=None, max_examples=30)
def test_word_shows_what_a_person_sees_of_it(kinds, in_table):
    docx = pytest.importorskip("docx")
    from docx.oxml import parse_xml

    document = docx.Document()
    document.add_paragraph("begin")
    place = document.add_table(1, 1).cell(0, 0) if in_table else document
    for n, kind in enumerate(kinds):
        piece = (SHOWN | UNSHOWN)[kind].format(f" w{n} ")
        place.add_paragraph()._p.append(parse_xml(f"<w:ins {W}>{piece}</w:ins>"))
    block = parse_xml(f"<w:sdt {W}><w:sdtContent><w:p>{RUN.format('form')}</w:p></w:sdtContent></w:sdt>")
    document.element.body.insert(0, block)
    file = io.BytesIO()
    document.save(file)
    read = read_docx(file.getvalue(), DocumentLimits())
    shown = [f"w{n}" for n, kind in enumerate(kinds) if kind in SHOWN]
    assert read.sections[0].text.split() == ["form", "begin", *shown]


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4))
@pytest.mark.parametrize("form", ["flow", "quoted", "block"])
def test_a_list_in_the_head_of_a_page_is_a_list(form, names):
    listed = {
        "flow": f"[{', '.join(names)}]",
        "quoted": "[" + ",".join(f'"{name}"' for name in names) + "]",
        "block": "".join(f"\n  - {name}" for name in names),
    }[form]
    page = f"---\ntitle: A page\nallowed: {listed}\nother: text\n---\n# A\nwords\n"
    fields = read_md(page.encode(), DocumentLimits()).fields
    assert fields["allowed"] == names
    assert (fields["title"], fields["other"]) == ("A page", "text")
