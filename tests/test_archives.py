"Archives that are cut, changed or encrypted: the same content, or an error that names the file."

import bz2
import gzip
import io
import random
import struct
import zipfile

import pytest

from crmeval.connect.document import Unread
from crmeval.connect.documents import read_document
from crmeval.pages.erase import _rewrite_xlsx
from crmeval.tasks.rows import read_rows
from crmeval.tasks.tables import workbook_rows

LINES = ["id,prompt,reference"] + [f"{i},Where is parcel {i}?,It left depot {i * 7}" for i in range(40)]


def zipped(method):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        archive.writestr("chats.csv", "\n".join(LINES))
    return whole.getvalue()


def workbook():
    openpyxl = pytest.importorskip("openpyxl")
    book, whole = openpyxl.Workbook(), io.BytesIO()
    for line in LINES:
        book.active.append(line.split(","))
    book.save(whole)
    return whole.getvalue()


def manual():
    docx = pytest.importorskip("docx")
    document, whole = docx.Document(), io.BytesIO()
    for line in LINES:
        document.add_paragraph(line)
    document.save(whole)
    return whole.getvalue()


WHOLE = {
    "stored.zip": lambda: zipped(zipfile.ZIP_STORED),
    "deflated.zip": lambda: zipped(zipfile.ZIP_DEFLATED),
    "bzip2.zip": lambda: zipped(zipfile.ZIP_BZIP2),
    "lzma.zip": lambda: zipped(zipfile.ZIP_LZMA),
    "table.xlsx": workbook,
    "manual.docx": manual,
    "chats.csv.gz": lambda: gzip.compress("\n".join(LINES).encode()),
    "chats.csv.bz2": lambda: bz2.compress("\n".join(LINES).encode()),
}


def read(path):
    "Return the contents of a file; errors, and documents that cannot be read, raise `ValueError`."
    if path.suffix != ".docx":
        return read_rows(str(path))
    read = read_document(path)
    if isinstance(read, Unread):
        assert read.reason.strip()
        raise ValueError(f"{read.path} {read.reason}")
    return read.text


def damages(data, rng, n=200):
    "Yield truncations and one-byte changes; every third near the end, where the directory is."
    for k in range(n):
        near_end = len(data) - 1 - rng.randrange(min(len(data), 1500))
        i = near_end if k % 3 == 1 else rng.randrange(len(data))
        changed = data[:i] + bytes([data[i] ^ rng.randrange(1, 256)]) + data[i + 1 :]
        yield data[:i] if k % 4 == 3 else changed


@pytest.mark.parametrize("name", list(WHOLE))
@pytest.mark.filterwarnings("ignore::UserWarning")  # openpyxl, of a workbook without its styles
def test_a_damaged_archive_is_the_same_or_told_by_its_name(tmp_path, name):
    path, data = tmp_path / name, WHOLE[name]()
    path.write_bytes(data)
    expected, told = read(path), 0
    for bad in damages(data, random.Random(5)):
        path.write_bytes(bad)
        try:
            assert read(path) == expected
        except ValueError as e:
            assert name in str(e) and str(e).rstrip()[-1] not in ":("
            told += 1
    assert told > 100


# what `zipfile` of some Python raises for some damage, and what a broken reader of a part may
BARE = [
    ValueError("negative seek value -22"),
    struct.error("unpack requires a buffer of 30 bytes"),
    NotImplementedError("compression type 97"),
    RuntimeError("File 'chats.csv' is encrypted, password required for extraction"),
    UnicodeDecodeError("ascii", b"\xff", 0, 1, "ordinal not in range(128)"),
    EOFError(),
    zipfile.LargeZipFile("Filesize would require ZIP64 extensions"),
    OSError(22, "Invalid argument"),
]


@pytest.mark.parametrize("error", BARE, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("at", ["__init__", "open", "infolist"])
@pytest.mark.parametrize("name", ["deflated.zip", "table.xlsx", "manual.docx"])
def test_whatever_a_zip_raises_is_told_by_the_files_name(tmp_path, monkeypatch, name, at, error):
    def broken(*args, **options):
        raise error

    path = tmp_path / name
    path.write_bytes(WHOLE[name]())
    monkeypatch.setattr(zipfile.ZipFile, at, broken)
    monkeypatch.setattr(zipfile.ZipFile, "__del__", lambda self: None, raising=False)
    with pytest.raises(ValueError, match=name.replace(".", r"\.")) as told:
        read(path)
    assert type(told.value) is ValueError and str(told.value).rstrip()[-1] not in ":("


def test_a_workbook_with_a_changed_part_is_read_or_told_by_its_name(tmp_path):
    "The archive is whole, so that no checksum finds the change."
    pytest.importorskip("openpyxl")
    path, rng = tmp_path / "table.xlsx", random.Random(1)
    with zipfile.ZipFile(io.BytesIO(workbook())) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}
    for k in range(60):
        part = rng.choice(list(parts))
        i = rng.randrange(len(parts[part]))
        bad = dict(parts) | {part: parts[part][:i] + bytes([rng.randrange(256)]) + parts[part][i + k % 3 :]}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in bad.items():
                archive.writestr(name, content)
        try:
            workbook_rows(path)
        except ValueError as e:
            assert "table.xlsx" in str(e)


def test_a_damaged_workbook_of_ratings_is_told_by_its_name_when_samples_are_erased(tmp_path):
    data = workbook()
    path = tmp_path / "rater_3.xlsx"
    for bad in (b"", b"PK", data[: len(data) // 2], data[-400:], data[:30] + data[60:]):
        path.write_bytes(bad)
        with pytest.raises(
            ValueError, match=r"rater_3\.xlsx(: a column .item. is expected| cannot be read as XLSX)"
        ):
            _rewrite_xlsx(path, {"a"})
        assert path.read_bytes() == bad
