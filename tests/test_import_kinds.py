"Tables as people and programs write them: messages, missing values, bytes, ids, separators, columns."

import datetime
import json
import math
import time

import numpy as np
import pandas as pd
import pytest
from pace import cpu_since

from crmeval.core.table_file import write_table
from crmeval.people.sheets import read_table
from crmeval.tasks.messages import conversation_text
from crmeval.tasks.own_data import load_file
from crmeval.tasks.rows import read_rows
from crmeval.tasks.tables import column_key, file_text, id_text, is_missing, plain_cell, reading

CASE = "service_conversation_summary"
CHAT = "user: My lamp broke\nassistant: A new one comes."


def table(tmp_path, data, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def load(tmp_path, data, name="t.csv", **options):
    return load_file(table(tmp_path, data, name), use_case=CASE, **options)


# messages

TURNS = [("user", "My lamp broke"), ("assistant", "A new one comes.")]


def listed(speaker, key_of_text, wrap=None):
    "Return the two turns as objects with these keys."
    messages = [{speaker: who, key_of_text: text} for who, text in TURNS]
    return messages if wrap is None else {wrap: messages}


def in_parts(**part):
    return [{"role": who, "content": [{**part, "text": text}]} for who, text in TURNS]


MESSAGES = {
    "openai": listed("role", "content"),
    "openai, wrapped": listed("role", "content", "messages"),
    "openai, parts": in_parts(type="text"),
    "openai, responses": in_parts(type="input_text"),
    "sharegpt": listed("from", "value", "conversations"),
    "sharegpt, bare": listed("from", "value"),
    "anthropic": {"system": "Be kind.", **listed("role", "content", "messages")},
    "gemini": [{"role": who, "parts": [{"text": text}]} for who, text in TURNS],
    "gemini, contents": [{"role": who, "parts": [text]} for who, text in TURNS],
    "export": [{"author": {"role": who}, "content": {"parts": [text]}} for who, text in TURNS],
    "speaker and text": listed("speaker", "text"),
    "speaker and utterance": listed("speaker", "utterance", "turns"),
    "sender and message": listed("sender", "message"),
    "author and body": listed("author", "body", "history"),
    "capitals": listed("Role", "Content", "Messages"),
    "dialogue": listed("speaker", "utterance", "dialogue"),
    "transcript": listed("participant", "msg", "transcript"),
    "pairs": [list(turn) for turn in TURNS],
    "tuples": tuple(TURNS),
    "lines": [f"{who}: {text}" for who, text in TURNS],
    "columns": {"role": ["user", "assistant"], "content": ["My lamp broke", "A new one comes."]},
    "more keys": [{"id": i, "role": w, "content": t, "time": "10:11"} for i, (w, t) in enumerate(TURNS)],
    "empty turns": [*listed("role", "content"), {"role": "user", "content": ""}],
    "null turns": [{"role": "user", "content": None}, *listed("role", "content")],
    "blanks": [{"role": " user ", "content": " My lamp broke\n"}, listed("role", "content")[1]],
}


@pytest.mark.parametrize("form", MESSAGES)
def test_messages_become_a_conversation(form, tmp_path):
    value = MESSAGES[form]
    assert conversation_text(value) == CHAT
    row = json.dumps([{"id": "1", "conversation": value}])
    assert load(tmp_path, row, "t.json")[0].inputs["conversation"] == CHAT
    assert load(tmp_path, row[1:-1], "t.jsonl")[0].inputs["conversation"] == CHAT


@pytest.mark.parametrize("write", [json.dumps, str], ids=["json", "python"])
@pytest.mark.parametrize("form", MESSAGES)
def test_messages_in_a_cell_of_text(form, write, tmp_path):
    value = MESSAGES[form]
    if not isinstance(value, dict) and not isinstance(value[0], dict):
        return  # a list of texts stays text
    path = tmp_path / "t.csv"
    pd.DataFrame({"id": ["1"], "conversation": [write(value)]}).to_csv(path, index=False)
    assert load_file(path, use_case=CASE)[0].inputs["conversation"] == CHAT


@pytest.mark.parametrize("form", ["openai", "openai, parts", "sharegpt", "pairs", "lines", "columns"])
def test_messages_in_parquet(form, tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"id": ["1"], "conversation": [MESSAGES[form]]}).to_parquet(path)
    assert load_file(path, use_case=CASE)[0].inputs["conversation"] == CHAT


def test_tools_pictures_and_thoughts():
    call = {"type": "function", "function": {"name": "find_order", "arguments": '{"id": 4471}'}}
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Where?"}, {"type": "image_url", "image_url": {}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {
            "role": "tool",
            "content": [{"type": "tool_result", "content": [{"type": "text", "text": "Leeds"}]}],
        },
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Here."}],
        },
        {"role": "assistant", "content": [{"type": "tool_use", "name": "close", "input": {"id": 1}}]},
    ]
    assert conversation_text(messages).split("\n") == [
        "user: Where?",
        "[image]",
        'assistant: [calls find_order({"id": 4471})]',
        "tool: Leeds",
        "assistant: Here.",
        'assistant: [calls close({"id": 1})]',
    ]


NO_MESSAGES = ["", "hello", "[agent joined] hello", "[1, 2, 3]", "{not json}", "[]", "{}", '{"stage": "Won"}']
NO_MESSAGES += [
    "[" * 50_000,
    "[" * 50_000 + "]" * 50_000,
    "{" * 9_000 + "}" * 9_000,
    '["a", "b"]',
    "[{'a': 1}]",
]


@pytest.mark.parametrize("text", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_other_texts_stay(text):
    start = time.process_time()
    assert conversation_text(text) is None
    assert cpu_since(start) < 2


def test_a_strange_message_is_named(tmp_path):
    rows = json.dumps([{"id": "1", "conversation": [{"role": "user", "content": "a"}, {"amount": 3}]}])
    with pytest.raises(ValueError, match="row 1, column 'conversation': a message has amount; expected"):
        load(tmp_path, rows, "t.json")


def test_a_record_is_no_conversation(tmp_path):
    record = {"name": "Ana", "text": "hello", "stage": "Won"}
    rows = [{"id": "1", "conversation": "hello", "record": record, "gold_record": record}]
    path = table(tmp_path, json.dumps(rows), "t.json")
    assert load_file(path, use_case="update_crm_info")[0].record == record


# missing values

MISSING = (
    "NaN nan NAN -nan NaT NA na N/A n/a #N/A #NA #NV <NA> NULL null Null None none \\N - -- – — #NULL! (null)"
)
PRESENT = "0 no No nano n N Nancy nonesuch -1 n/a-17 None! . false x-".split()


@pytest.mark.parametrize(
    "mark", [*MISSING.split(), "", " ", "\t", "k. A.".replace(" ", ""), "#N/A N/A", " NaN "]
)
def test_marks_of_nothing(mark, tmp_path):
    assert is_missing(mark)
    text = f'id,conversation,reference,key_facts,cluster\n1,hello,"{mark}","{mark}","{mark}"\n'
    (sample,) = load(tmp_path, text)
    assert (sample.reference, sample.key_facts, sample.cluster) == (None, (), None)
    with pytest.raises(ValueError, match="row 1 .*the input 'conversation' is empty"):
        load(tmp_path, f'id,conversation\n1,"{mark}"\n')


@pytest.mark.parametrize(
    "value", [None, math.nan, np.nan, pd.NA, pd.NaT, np.datetime64("NaT"), np.float32("nan")]
)
def test_values_that_are_nothing(value):
    assert is_missing(value) and plain_cell(value) is None


@pytest.mark.parametrize("text", PRESENT)
def test_words_are_something(text, tmp_path):
    assert not is_missing(text)
    assert load(tmp_path, f"id,conversation\n1,{text}\n")[0].inputs["conversation"] == text


def test_a_frame_with_gaps_comes_back(tmp_path):
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3],
            "conversation": ["a", "b", "c"],
            "reference": ["x", None, pd.NA],
            "cluster": [7, None, 8],
            "key_facts": [["A.", None], [], None],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    frame.drop(columns="key_facts").to_csv(tmp_path / "t.csv", index=False)
    frame.drop(columns="key_facts").to_csv(tmp_path / "na.csv", index=False, na_rep="NULL")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for name in "t.parquet", "t.csv", "na.csv", "t.jsonl":
        samples = load_file(tmp_path / name, use_case=CASE)
        assert [s.id for s in samples] == ["1", "2", "3"], name
        assert [s.reference for s in samples] == ["x", None, None], name
        assert [s.cluster for s in samples] == ["7", None, "8"], name
    assert load_file(tmp_path / "t.parquet", use_case=CASE)[0].key_facts == ("A.",)


# bytes, types, encodings


def test_bytes_are_text_or_an_error(tmp_path):
    good = pd.DataFrame({"id": [b"1"], "conversation": ["Größe".encode()]})
    good.to_parquet(tmp_path / "good.parquet")
    (sample,) = load_file(tmp_path / "good.parquet", use_case=CASE)
    assert (sample.id, sample.inputs["conversation"]) == ("1", "Größe")
    pd.DataFrame({"id": ["1"], "conversation": ["Größe".encode("cp1252")]}).to_parquet(
        tmp_path / "bad.parquet"
    )
    with pytest.raises(ValueError, match="row 1, column 'conversation': holds bytes that are not UTF-8"):
        load_file(tmp_path / "bad.parquet", use_case=CASE)


@pytest.mark.parametrize(
    "value, plain",
    [
        (b"\xef\xbb\xbfabc", "abc"),
        (bytearray(b"abc"), "abc"),
        (memoryview(b"abc"), "abc"),
        (np.str_("a"), "a"),
        (np.int64(7), 7),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([1.5, np.nan]), [1.5, None]),
        ({"a": b"x", 1: (1, None)}, {"a": "x", "1": [1, None]}),
        (pd.Timestamp("2025-03-03"), "2025-03-03T00:00:00"),
        (datetime.time(10, 11), "10:11:00"),
        (True, True),
    ],
)
def test_cells_have_the_types_of_json(value, plain):
    assert plain_cell(value) == plain


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name, text", [
    ("t.csv", "id,conversation\n1,Größe 42 für 王\n"),
    ("t.tsv", "id\tconversation\n1\tGröße 42 für 王\n"),
    ("t.json", '[{"id": "1", "conversation": "Größe 42 für 王"}]'),
    ("t.jsonl", '{"id": "1", "conversation": "Größe 42 für 王"}\n'),
])  # fmt: skip
def test_encodings(encoding, name, text, tmp_path):
    (sample,) = load(tmp_path, text.encode(encoding), name)
    assert (sample.id, sample.inputs["conversation"]) == ("1", "Größe 42 für 王")


WESTERN = "id,conversation,note\n1,a,b\n2,Größe – “fünf” für 3 € an José Peña,c\n"


def test_windows_1252_is_read_and_said(tmp_path):
    with reading() as reader:
        samples = load(tmp_path, WESTERN.encode("cp1252"))
    assert samples[1].inputs["conversation"] == "Größe – “fünf” für 3 € an José Peña"
    assert len(reader.notes) == 1 and "t.csv, line 3: byte 0xf6 is not UTF-8" in reader.notes[0]
    with pytest.warns(UserWarning, match="read as Windows-1252"):
        load(tmp_path, WESTERN.encode("cp1252"))


@pytest.mark.parametrize("data", [
    WESTERN.replace("€", "").replace("–", "").replace("“", "").replace("”", "").encode("mac-roman"),
    "id,conversation,note\n1,a,b\n2,Größe für Müller,c\n".encode("cp437"),
    "id,conversation,note\n1,a,b\n2,Привет это большая лампа,c\n".encode("cp1251"),
    "id,conversation,note\n1,a,b\n2,ありがとうございます,c\n".encode("shift_jis"),
    "id,conversation,note\n1,a,b\n2,Größe für Müller ".encode() + b"\xff,c\n",
    "id,conversation,note\n1,a,b\n2,你好世界今天很好,c\n".encode("gb18030"),
])  # fmt: skip
def test_what_is_no_windows_1252_is_refused_with_its_place(data, tmp_path):
    for read in (lambda: load(tmp_path, data), lambda: read_table(table(tmp_path, data), ["id"])):
        with pytest.raises(
            ValueError, match=r"t.csv, line 3: byte 0x[0-9a-f]{2} is not UTF-8.*--encoding.*CSV UTF-8"
        ):
            read()


@pytest.mark.parametrize("encoding", ["mac-roman", "cp437", "cp1252", "utf-8"])
def test_an_encoding_that_is_said_holds(encoding, tmp_path):
    with reading(encoding) as reader:
        _, sample = load(tmp_path, "id,conversation,note\n1,a,b\n2,Größe für Müller,c\n".encode(encoding))
    assert sample.inputs["conversation"] == "Größe für Müller" and not reader.notes
    with reading("ascii"), pytest.raises(ValueError, match="byte 0x.* is not ASCII"):
        load(tmp_path, WESTERN.encode("cp1252"))


@pytest.mark.parametrize(
    "encoding, head", [("utf-16-le", "имя,conversation"), ("utf-16-be", "ü,conversation")]
)
def test_utf_16_without_a_mark_is_known_by_its_zeros(encoding, head):
    assert file_text(f"{head}\nпривет,Hello there\n".encode(encoding), "t.csv").startswith(head)


# ids

IDS = [
    (["1.0", "2.0"], ["1", "2"]),
    (["1234.0", "", "5678.0"], None),
    (["1.0", "1.1"], ["1.0", "1.1"]),
    (["1,0", "2,0"], ["1", "2"]),
    (["007", "08"], ["007", "08"]),
    (["A-1", "B-2"], ["A-1", "B-2"]),
    (["12E5", "1e7"], ["12E5", "1e7"]),
    (["20250303", "20250304"], ["20250303", "20250304"]),
    (["1,000", "2,000"], ["1,000", "2,000"]),
    ([" x ", "y"], ["x", "y"]),
]


@pytest.mark.parametrize("ids, want", IDS, ids=[str(i) for i in range(len(IDS))])
def test_ids_of_a_column(ids, want, tmp_path):
    rows = "".join(f'"{i}";hello\n' for i in ids)
    if want is None:
        with pytest.raises(ValueError, match="row 2 .*the id is empty"):
            load(tmp_path, f"id;conversation\n{rows}")
        return
    assert [s.id for s in load(tmp_path, f"id;conversation\n{rows}")] == want


@pytest.mark.parametrize("lost", ["1.23E+15", "1,23E+15", "4E+12", "1.234568e+17", "9.1E+9"])
def test_shortened_ids_are_an_error(lost, tmp_path):
    with pytest.raises(ValueError, match=r"row 1 \(line 2\), column 'id': .*its digits are lost"):
        load(tmp_path, f'id,conversation\n"{lost}",hello\n')
    with pytest.raises(ValueError, match=r"column 'cluster': .*its digits are lost"):
        load(tmp_path, f'id,conversation,cluster\n1,hello,"{lost}"\n')


@pytest.mark.parametrize(
    "value, text", [(1234.0, "1234"), (1234, "1234"), (2.5, "2.5"), (-3.0, "-3"), (None, None)]
)
def test_ids_that_are_numbers(value, text):
    assert id_text(value) == text


def test_ids_beyond_what_a_decimal_number_holds():
    assert id_text(12345678901234567890) == "12345678901234567890"
    with pytest.raises(ValueError, match="digits are lost"):
        id_text(1.2345678901234567e19)


def test_ids_of_a_parquet_column_with_a_gap(tmp_path):
    frame = pd.DataFrame({"id": [17.0, 18.0], "conversation": ["a", "b"], "cluster": [1.0, np.nan]})
    frame.to_parquet(tmp_path / "t.parquet")
    samples = load_file(tmp_path / "t.parquet", use_case=CASE)
    assert [(s.id, s.cluster) for s in samples] == [("17", "1"), ("18", None)]


# separators

SEPARATED = [
    "id,conversation\n1,hello\n",
    "id;conversation\n1;hello\n",
    "id\tconversation\n1\thello\n",
    "id|conversation\n1|hello\n",
    "sep=;\nid;conversation\n1;hello\n",
    "sep=,\r\nid,conversation\r\n1,hello\r\n",
    "sep=\t\nid\tconversation\n1\thello\n",
    "sep=\\t\nid\tconversation\n1\thello\n",
    "SEP=;\nid;conversation\n1;hello\n",
    '"sep=;"\nid;conversation\n1;hello\n',
    "sep=|\nid|conversation\n1|hello\n",
    "sep=^\nid^conversation\n1^hello\n",
    "\ufeffsep=;\nid;conversation\n1;hello\n",
    'id;conversation;"notes, a, b, c"\n1;hello;x\n',
    'id;conversation;"a\nb, c, d, e"\n1;hello;x\n',
    "id;conversation;a, b, c, d\n1;hello;x\n",
    "id,conversation,a; b; c; d\n1,hello,x\n",
    "\n\nid,conversation\n\n1,hello\n\n",
    "id,conversation\r1,hello\r",
    "ID ; Conversation ; note\n1;hello;x\n",
]


@pytest.mark.parametrize("text", SEPARATED, ids=range(len(SEPARATED)))
def test_separators(text, tmp_path):
    (sample,) = load(tmp_path, text)
    assert (sample.id, sample.inputs["conversation"].strip()) == ("1", "hello")
    if text.strip("\n") == text.rstrip("\n"):  # a rating sheet has its header in the first line
        (row,) = read_table(table(tmp_path, text), ["id", "conversation"])
        assert row.text("conversation") == "hello"


def test_lines_are_counted_with_the_line_that_says_the_separator(tmp_path):
    with pytest.raises(ValueError, match=r"row 2 \(line 4\): 1 cells"):
        load(tmp_path, "sep=;\nid;conversation\n1;hello\n2\n")


# columns

COLUMNS = [
    "id,conversation",
    "ID,Conversation",
    "Id,CONVERSATION",
    " id , conversation ",
    "\ufeffid,conversation",
]
COLUMNS += ['"id","conversation"', "ID,inputs.conversation", "\u200bid,conversation\u00a0"]


@pytest.mark.parametrize("head", COLUMNS, ids=range(len(COLUMNS)))
def test_columns_in_any_case(head, tmp_path):
    (sample,) = load(tmp_path, f"{head}\n17,hello\n")
    assert (sample.id, sample.inputs["conversation"]) == ("17", "hello")


@pytest.mark.parametrize("head", ["Key Facts", "key-facts", "KEY_FACTS", " Key  facts ", "Key\u00a0Facts"])
def test_columns_with_blanks(head, tmp_path):
    (sample,) = load(
        tmp_path, f"ID,Use Case,Conversation,{head}\n17,{CASE},hello,A.|B.\n".replace("Use Case", "use case")
    )
    assert sample.key_facts == ("A.", "B.")
    assert column_key(head) == "key_facts"


def test_the_column_for_the_use_case_in_other_case(tmp_path):
    path = table(tmp_path, f"ID;Use Case;Conversation\n17;{CASE};hello\n")
    assert load_file(path)[0].use_case == CASE


def test_a_mapped_column_and_an_id_in_capitals(tmp_path):
    (sample,) = load(tmp_path, "ID,Text\n17,hello\n", columns={"conversation": "Text"})
    assert (sample.id, sample.inputs["conversation"]) == ("17", "hello")
    (sample,) = load(tmp_path, "ID,Chat Text\n17,hello\n", columns={"conversation": "chat text"})
    assert (sample.id, sample.inputs["conversation"]) == ("17", "hello")


def test_a_name_to_the_letter_comes_first(tmp_path):
    (sample,) = load(tmp_path, "ID,id,conversation\n1,2,hello\n")
    assert sample.id == "2"
    with pytest.raises(ValueError, match="the columns 'ID' and 'Id' are both 'id'"):
        load(tmp_path, "ID,Id,conversation\n1,2,hello\n")


# workbooks


def test_a_workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    rows = [("ID", "Conversation", None, "Reference", "Date")]
    rows += [
        (17, "hello", "x", "#N/A", datetime.date(2025, 3, 3)),
        (None,) * 5,
        (18.0, "user: hi", None, 7, None),
    ]
    for row in rows:
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    samples = load_file(tmp_path / "t.xlsx", use_case=CASE)
    assert [(s.id, s.reference) for s in samples] == [("17", None), ("18", "7")]
    assert read_rows(tmp_path / "t.xlsx")[0][0] == "row 1 (line 2)"
    assert read_rows(tmp_path / "t.xlsx")[0][1]["Date"].startswith("2025-03-03")
    with pytest.raises(ValueError, match="the ending '.xls' is unknown"):
        load(tmp_path, b"x", "t.xls")


def workbook(path, *sheets, merge=()):
    "Write a workbook of (title, rows) sheets; the given ranges are merged in the first."
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    for area in merge:
        book.worksheets[0].merge_cells(area)
    book.save(path)
    return path


HEAD = ["id", "conversation", "region"]
ROWS = [HEAD, ["a1", "Customer: it broke", "north"], ["a2", "Customer: it rang", None]]


@pytest.mark.parametrize(
    ("above", "line"),
    [
        ([], 2),
        ([["Report of the third quarter"], []], 4),
        ([["Bericht", "Q3"][:1], ["Stand 3.3.2025"]], 4),
        ([[None, "顧客対応の記録"]], 3),
    ],
)
def test_a_title_above_the_header_is_no_header(tmp_path, above, line):
    path = workbook(tmp_path / "t.xlsx", ("Export", [*above, *ROWS]))
    with reading() as reader:
        rows = read_rows(path)
    assert [r["id"] for _, r in rows] == ["a1", "a2"] and list(rows[0][1]) == HEAD
    assert rows[0][0] == f"row 1 (line {line})"
    assert bool(above) == any("is taken as the header" in note for note in reader.notes)


def test_a_table_of_one_column_begins_with_its_first_row(tmp_path):
    path = workbook(
        tmp_path / "t.xlsx", ("Export", [["conversation"], ["Customer: hello"], ["Customer: bye"]])
    )
    assert [r["conversation"] for _, r in read_rows(path)] == ["Customer: hello", "Customer: bye"]


@pytest.mark.parametrize(
    ("sheets", "told_of"),
    [
        ([("Cover", [["Report"]]), ("Data", ROWS)], []),
        ([("Data", ROWS), ("Notes", [["made by hand"]])], []),
        ([("Data", ROWS), ("Février", ROWS)], ["'Data' is read", "'Février' (3 rows)"]),
        (
            [("Empty", []), ("Data", ROWS), ("März", ROWS[:2]), ("April", ROWS)],
            ["'März' (2 rows)", "'April' (3"],
        ),
    ],
)
def test_the_sheet_with_a_table_is_read_and_others_are_told(tmp_path, sheets, told_of):
    path = workbook(tmp_path / "t.xlsx", *sheets)
    with reading() as reader:
        assert [r["id"] for _, r in read_rows(path)] == ["a1", "a2"]
    assert all(any(piece in note for note in reader.notes) for piece in told_of)
    assert bool(told_of) == bool(reader.notes)


def test_cells_merged_downwards_hold_their_value_in_every_row(tmp_path):
    rows = [*ROWS[:2], [None, None, None], ROWS[2], ["a3", "Customer: it sang", "south"]]
    path = workbook(tmp_path / "t.xlsx", ("Data", rows), merge=["C2:C4"])
    assert [(r["id"], r["region"]) for _, r in read_rows(path)] == [
        ("a1", "north"),
        ("a2", "north"),
        ("a3", "south"),
    ]


def test_a_formula_without_a_result_is_told(tmp_path):
    path = workbook(tmp_path / "t.xlsx", ("Data", [HEAD, ["a1", '=CONCATENATE("a", "b")', "north"]]))
    with reading() as reader:
        assert read_rows(path)[0][1]["conversation"] is None
    assert any("B2: a formula without a stored result" in note for note in reader.notes)


@pytest.mark.parametrize("above", ["Bericht Q3;;\n;;\n", "Rapport;;\n", "Stand 3.3.2025;;\n"])
def test_a_title_above_the_header_of_a_text_table(tmp_path, above):
    path = table(tmp_path, f"{above}id;conversation;region\na1;Customer: it broke;north\n")
    with reading() as reader:
        assert [r["id"] for _, r in read_rows(path)] == ["a1"]
    assert any("is taken as the header" in note for note in reader.notes)
    with pytest.raises(ValueError, match="4 cells, but the header has 3"):
        read_rows(table(tmp_path, "id;conversation;region\na1;x;y;z\n", "u.csv"))


@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".md", ".tex", ".json", ".jsonl"])
def test_a_table_that_cannot_be_written_leaves_the_older_one(tmp_path, ending, monkeypatch):
    path = write_table([{"a": 1}], tmp_path / f"t{ending}")
    before = path.read_bytes()

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "replace", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_table([{"a": 2}, {"a": 3}], path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("names", [["text"], ["id", "text"], ["id", "text", "day"]])
@pytest.mark.parametrize("sound", [0, 1, 7])
def test_a_row_that_is_too_long_is_told_and_makes_no_title_of_the_header(names, sound, tmp_path):
    path = tmp_path / "desk.csv"
    rows = [[f"{name} {n}" for name in names] for n in range(sound)]
    broken = [f"part {n}" for n in range(2 * len(names) + 2)]
    path.write_text("".join(",".join(r) + "\n" for r in [names, *rows, broken]), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"row {sound + 1} .*{len(broken)} cells.*header has {len(names)}"):
        load_file(path, use_case="service_call_summary", columns={"transcript": "text"})


def test_rows_that_say_nothing_but_not_available_are_rows(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("NA,null\n" * 25, encoding="utf-8")
    with pytest.raises(ValueError):
        load_file(path, use_case="service_call_summary", columns={"transcript": "text"})
