"Mistakes of a newcomer on the command line, by kind; drawn at random where a kind has many members."

import random
import subprocess
import sys
from pathlib import Path

import pytest
from test_wrong_words import CASE, PYTHON, table, typed

from crmeval.runs.plan import kinds, settings

RANDOM = random.Random(11)
NAME = "".join(RANDOM.choices("abcdefghij", k=7))


def refused(capsys, *words):
    "The one line of a refusal; nothing is printed and nothing is left behind."
    before = sorted(map(str, Path(".").rglob("*")))
    code, out, err = typed(capsys, *words)
    assert code == 2 and not out and err.count("\n") == 1, (words, out, err)
    assert not PYTHON.search(err), err
    assert sorted(map(str, Path(".").rglob("*"))) == before, words
    return err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table("in.csv")
    return tmp_path


@pytest.mark.parametrize("word", ["--column", "--price", "--requests-per-minute", "--tokens-per-minute"])
def test_a_name_with_two_values_is_refused(word, here, capsys):
    numbers = [RANDOM.randint(1, 99) for _ in range(2)]
    values = [f"{NAME}={n},{n}" if word == "--price" else f"{NAME}={n}" for n in numbers]
    message = refused(capsys, "run", "--data", "in.csv", word, values[0], word, values[1])
    assert f"{word} is given twice for '{NAME}'" in message


def test_a_number_for_all_is_given_once(here, capsys):
    message = refused(capsys, "run", "--requests-per-minute", "5", "--requests-per-minute", "6")
    assert "--requests-per-minute is given twice without a name" in message


BLANK = [n for n, s in settings().items() if s.word != "" and kinds()[n][0] is str and not s.choices]


@pytest.mark.parametrize("name", BLANK)
@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_an_unset_shell_variable_is_no_value(name, blank, here, capsys):
    word = settings()[name].word or "--" + name.replace("_", "-")
    message = refused(capsys, "run", f"{word}={blank}", "--use-case", CASE)
    assert f"{word} is " in message and "expected" in message


@pytest.mark.parametrize("blank", ["", " "])
def test_blank_data_is_not_the_current_folder(blank, here, capsys):
    assert "--data is" in refused(capsys, "run", "--data", blank, "--use-case", CASE)
    refused(capsys, "score-file", blank, "--responses", "ours", "--use-case", CASE)


@pytest.mark.parametrize("kind", ["plan", "policy"])
@pytest.mark.parametrize("byte", [0x80, 0xE9, 0xFF])
def test_a_settings_file_that_is_not_text_says_its_line(kind, byte, here, capsys):
    line = RANDOM.randint(1, 9)
    Path("s.yaml").write_bytes(b"# note\n" * (line - 1) + b"a: \x41" + bytes([byte]) + b"\n")
    words = (
        ("run", "s.yaml") if kind == "plan" else ("gateway", "--model", "baseline:lead", "--policy", "s.yaml")
    )
    message = refused(capsys, *words)
    assert f"s.yaml is not UTF-8 text: line {line} holds the byte 0x{byte:02x}" in message


@pytest.mark.parametrize(
    "text, arrived",
    [
        ("limit: 2026-01-01", "2026-01-01"),
        (f"limit: {{{NAME}: 1}}", f"'{NAME}' with values"),
        ("limit: {}", "empty"),
    ],
)
def test_a_plan_with_a_wrong_kind_is_told_without_python(text, arrived, here, capsys):
    Path("p.yaml").write_text(text, encoding="utf-8")
    assert f"--limit is {arrived}, expected a whole number" in refused(capsys, "run", "p.yaml")


def test_a_list_that_is_a_table_is_refused(here, capsys):
    Path("p.yaml").write_text(f"models: {{{NAME}: 1}}", encoding="utf-8")
    assert f"--model is '{NAME}' with values, expected a list" in refused(capsys, "run", "p.yaml")


@pytest.mark.parametrize(
    "line, kind", [("7", "a number"), ("null", "nothing"), ("[1]", "a list"), ("true", "yes or no")]
)
def test_a_row_that_is_no_object_is_told_by_its_kind(line, kind, here, capsys):
    Path("r.jsonl").write_text(line + "\n", encoding="utf-8")
    assert f"got {kind}" in refused(capsys, "run", "--data", "r.jsonl", "--use-case", CASE)


def test_a_file_that_holds_one_table_takes_no_name_of_a_table(here, capsys):
    message = refused(capsys, "run", "--data", f"in.csv#{NAME}", "--use-case", CASE)
    assert f"asks for the table '{NAME}'" in message and "expected 'in.csv'" in message


def test_a_prompt_is_told_by_its_fields(here, capsys):
    Path("p.txt").write_text(f"Sum up {{conversation}} {{{NAME}}}", encoding="utf-8")
    message = refused(
        capsys, "run", "--model", "baseline:lead", "--use-case", CASE, "--prompt", f"{CASE}=p.txt"
    )
    assert f"{{{NAME}}}" in message and "expected {conversation} and {instructions}" in message
    message = refused(capsys, "run", "--model", "baseline:lead", "--prompt", "p.txt")
    assert "--prompt is 'p.txt', expected USE_CASE=FILE" in message


@pytest.mark.parametrize("dash", "\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
def test_a_dash_of_a_word_processor_is_named(dash, here, capsys):
    option = RANDOM.choice(["limit=3", "model=baseline:lead", "seed=1"])
    for words in ((f"{dash}{option}",), (dash + option.partition("=")[0], option.partition("=")[2])):
        message = refused(capsys, "run", *words)
        assert f"is not a hyphen: write --{option.partition('=')[0]}" in message


def test_an_option_without_hyphens_or_with_one(here, capsys):
    for name in ("limit", "max-tokens", "use-case"):
        assert f"did you mean --{name}=3?" in refused(capsys, "run", f"{name}=3")
        assert f"Did you mean --{name}?" in refused(capsys, "run", f"-{name}", "3")


@pytest.mark.parametrize("word", ["RUN", "Run", "Score-File", "LIST"])
def test_a_command_in_capitals_and_help_as_a_command(word, here, capsys):
    assert f'Did you mean "crmeval {word.lower()}"?' in refused(capsys, word)
    assert 'Did you mean "crmeval --help"?' in refused(capsys, "help")


def test_a_very_long_value_is_not_said_back_whole(here, capsys):
    long = "x" * RANDOM.randint(5_000, 50_000)
    for words in (
        ("--use-case", long),
        ("--limit", long),
        ("--column", long),
        ("--price", long),
        (f"--{long}",),
        (f"--use-case={long}",),
    ):
        assert len(refused(capsys, "run", *words)) < 3_000, words[0]


@pytest.fixture
def run(here, capsys):
    words = ("--model", "baseline:lead", "--model", "baseline:extractive", "--use-case", CASE, "--limit", 1)
    assert typed(capsys, "run", *words, "--out", "r", "-q")[0] == 0
    Path("a_folder.csv").mkdir()
    return "r"


def test_a_place_that_cannot_be_written_is_refused_before_the_work(run, capsys):
    pair = ("compare", "r#baseline:lead", "r#baseline:extractive")
    for place, what in (("a_folder.csv", "which is a folder"), (f"{NAME}/x.csv", "folder")):
        for words in (
            ("report", run, "--out", place),
            ("report", run, "--table", place),
            (*pair, "--html", place),
            (*pair, "--table", place),
            ("plan", "--file", place),
        ):
            assert what in refused(capsys, *words), words


def test_a_training_file_without_rows_or_text_is_no_clean_file(here, capsys):
    for content in (b"", b"\n \n", b"\xff\xfe\x80\x81"):
        Path("t.jsonl").write_bytes(content)
        message = refused(capsys, "leak-check", "t.jsonl", "--against", "demo")
        assert "expected" in message and "JSON Lines" in message
    Path("t.jsonl").write_text("{}\n", encoding="utf-8")
    for words in (("--near", "0"), ("--near", "1.5"), ("--run-words", "0"), ("--format", NAME)):
        assert f"{words[0]} is" in refused(capsys, "leak-check", "t.jsonl", "--against", "demo", *words)
        if words[0] != "--format":
            refused(capsys, "training-files", "out", "--data", "demo", *words)


def test_a_key_is_not_made_for_a_name_that_its_file_cannot_hold(here, capsys):
    for name in ("", " ", "a b", "a\tb"):
        assert "--new-key is" in refused(capsys, "gateway", "--new-key", name)


def test_a_measurement_is_not_announced_that_cannot_be_made(here, capsys):
    for words in (("--timeout", "0"), ("--timeout", "-3"), ("--out", "in.csv")):
        assert f"{words[0]} is" in refused(capsys, "speed", "--model", "openai:m", *words)


def test_a_closed_standard_input_is_told(here):
    words = f"{sys.executable} -m crmeval run --data - --use-case {CASE} <&-"
    done = subprocess.run(words, shell=True, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "standard input is closed" in done.stderr, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_error_keeps_the_exit_code(unbuffered, here, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with open("/dev/full", "w", encoding="utf-8") as full:
        words = [sys.executable, "-m", "crmeval", "run", "--modle"]
        assert subprocess.run(words, stderr=full, stdout=subprocess.PIPE, timeout=60).returncode == 2
