"Wrong use of the command line: clear errors, quick exits, and no secret in any message."

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import endpoint
import pytest
from commands import crmeval
from pace import cpu_since

from crmeval.cli.app import COMMANDS, main
from crmeval.runs.areas import AREAS
from crmeval.runs.lines import _AREAS, CLIENT_KINDS, JUDGE_KINDS
from crmeval.runs.specs import CLIENT_MAKERS, JUDGE_MAKERS

CASE = "service_conversation_summary"
KEY = "sk-abcdefghijklmnop1234567890ABCD"


def typed(capsys, *words):
    "Return (exit code, standard output, standard error)."
    code = main([str(w) for w in words])
    return code, *capsys.readouterr()


WRONG = [
    ("runn", 'Did you mean "run"?'),
    ("run --modle baseline:lead", "Did you mean --model?"),
    ("run --lim 3", "has no option --lim"),
    ("gate r --min 3", "gate has no option --min. crmeval gate --help lists what it has"),
    ("gate r --clint x", "Did you mean --client?"),
    ("run --use-case servce_call_summary", "did you mean 'service_call_summary'?"),
    ("run --model basline:lead", "did you mean 'baseline:lead'?"),
    ("run --model baseline:led", "did you mean 'lead'?"),
    ("run --model opnai:gpt", "did you mean 'openai:gpt'?"),
    ("run --model gpt-4o", "a model behind an endpoint is openai:gpt-4o"),
    ("run --judge embeded", "did you mean 'embedded'?"),
    ("run --data dmeo", "did you mean 'demo'?"),
    ("run --areas acuracy", "did you mean 'accuracy'?"),
    ("run --probes xstset --areas safety", "did you mean 'xstest'?"),
    ("run --judge-style ruberic", "did you mean 'rubric'?"),
    ("run --limit many", "--limit is 'many', expected a whole number from 1"),
    ("run --limit 1.5", "--limit is '1.5', expected a whole number from 1"),
    ("run --limit nan", "--limit is 'nan', expected a whole number from 1"),
    ("run --max-usd inf", "--max-usd is inf, expected a number from 0"),
    (
        "run --requests-per-minute 0",
        "--requests-per-minute is '0', expected a number above 0, or NAME=NUMBER",
    ),
    (
        "run --tokens-per-minute openai=many",
        "--tokens-per-minute is 'openai=many', expected a number above 0",
    ),
    ("run --requests-per-minute 9", "--requests-per-minute changes nothing: nothing in this run is a model"),
    ("run --temperature warm", "--temperature is 'warm', expected a number from 0 or none"),
    ("run --out a --out b", "--out is given more than once"),
    ("run --dry-run --dry-run", "--dry-run is given more than once"),
    ("run --model", "--model needs a value"),
    ("run --add --fresh", "--add is said, expected nothing beside --fresh"),
    ("run --max-tokens 5", "--max-tokens changes nothing"),
    ("run --judge-base-url http://localhost:1/v1", "--judge-base-url changes nothing"),
    ("run --judge-panel mean", "--judge-panel changes nothing: there is one judge"),
    ("run --column a=b", "--column changes nothing: the demo set has no columns"),
    ("run --probes xstest", "--probes changes nothing"),
    ("run --partial", "--partial changes nothing"),
    ("run --encoding cp1252", "--encoding changes nothing"),
    ("run --dry-run --published", "--published changes nothing"),
    ("run --out=", "--out is '', expected the name of a folder"),
    ("run nowhere.yaml", "there is no plan 'nowhere.yaml'"),
    ("run --model replay:nowhere.csv", "expected a file that exists behind replay:"),
    ("plan --use-case nope", "unknown use case 'nope'"),
    ("-q run", "-q is before the command"),
    ("list -q --json", "--quiet prints nothing, and --json prints more"),
    ("score r", "nothing to do"),
    ("score r --judge embedded", "r is not a run folder"),
    ("score r --ratings x --judge-temperature 1", "--judge-temperature changes nothing"),
    ("report", "report needs RUN"),
    ("report here there", "report has no place for 'there'"),
    ("compare a", "compare needs B"),
    ("agreement finesure-factualty", "did you mean 'finesure-factuality'?"),
    ("agreement finesure-factuality --limit x", "--limit is 'x', expected a whole number"),
    ("speed --model openai:x --calls 0", "--calls is 0"),
    ("speed --model openai:x --rate 3 --concurrency 3", "--concurrency is 3"),
    ("speed --model baseline:lead", "--model is 'baseline:lead'"),
    ("score-file x.csv", "--responses is missing"),
    ("rate r --adjudicate b --raters a", "--adjudicate goes with --import"),
    ("completion tcsh", "expected one of 'bash', 'zsh', 'fish'"),
    ("view r --serve x", "--serve is 'x', expected a whole number"),
]
PYTHON = re.compile(
    r"NoneType|\bTrue\b|\bNone\b|<class|Traceback|\bint\b|\bstr\b|Error\b|parameter|\['|object at"
)


@pytest.mark.parametrize("line, message", WRONG, ids=[line for line, _ in WRONG])
def test_wrong_words_end_in_one_sentence_of_the_command_line(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(capsys, *line.split(" "))
    assert code == 2 and message in err and not out and err.count("\n") == 1, err
    assert not PYTHON.search(err.replace("'embedded'", "")), err
    assert not list(tmp_path.iterdir()), "no file may be left"


@pytest.mark.parametrize(
    "line",
    [
        f"run --model {KEY}",
        f"run --model openai:{KEY}",
        f"run --judge {KEY}",
        f"run --api-key-env {KEY}",
        f"run --judge-api-key-env {KEY}",
        f"run {KEY}",
        f"run --use-case {KEY}",
        f"run --data {KEY}",
        f"run --out {KEY} x y",
        f"run --price {KEY}",
        f"report {KEY}",
        f"compare {KEY} b",
        f"agreement {KEY}",
        f"speed --model {KEY}",
        f"run --{KEY}",
        f"score-file {KEY} --responses a",
        f"list {KEY}",
        f"{KEY}",
        f"run --areas {KEY}",
        "run --model a1B2c3D4e5F6g7H8i9J0k1L2m3",
        f"run --limit {KEY}",
        f"run --base-url http://ann:{KEY}@x/v1 --model openai:m --areas x",
    ],
)
def test_a_key_is_never_said_back(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(capsys, *line.split(" "))
    assert code == 2 and KEY not in out + err and "a1B2c3" not in err and "Traceback" not in err, err


def test_the_kinds_of_lines_are_those_that_can_be_made():
    assert set(CLIENT_KINDS) == set(CLIENT_MAKERS) and set(JUDGE_KINDS) == set(JUDGE_MAKERS)
    assert {*_AREAS} == {*AREAS, "trust"}


HEAVY = ("pandas", "sklearn", "datasets", "matplotlib", "scipy", "pyarrow", "openai", "aiohttp", "ray")


def test_help_and_wrong_words_load_nothing_large(tmp_path):
    lines = [
        "--version",
        "--help",
        "score --help",
        "plan --help",
        "run --judge embeded",
        "run --model gpt",
        "run --limit x",
        "run --out a_file",
        "run --use-case nope",
        "score nowhere --judge embedded",
        "report nowhere",
        "list nowhere",
    ]
    (tmp_path / "a_file").write_text("mine")
    code = (
        "import sys; from crmeval.cli.app import main\n"
        f"codes = [main(line.split()) for line in {lines!r}]\n"
        f"print(codes, [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.stdout.splitlines()[-1] == f"{[0] * 4 + [2] * 8} []", done.stdout[-300:] + done.stderr


def test_every_command_has_the_same_manners(capsys):
    for command in COMMANDS:
        code, out, _ = typed(capsys, *command.split(), "--help")
        assert code == 0 and all(word in out for word in ("--json", "--quiet", "-q", "--verbose", "-v")), (
            command
        )
    out = typed(capsys, "--help")[1]
    assert all(name in out for name in ("OPENAI_API_KEY", "CRMEVAL_DATA", "HTTPS_PROXY", "hub:owner/name"))


def test_quiet_and_verbose(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ("run", "--model", "baseline:lead", "--use-case", CASE, "--limit", 1, "--out", "r")
    assert typed(capsys, *words, "-q") == (0, "", "")
    assert Path("r/report.html").is_file()
    code, out, err = typed(capsys, *words, "--no-progress", "-v")
    assert code == 0 and "report: " in out and "--limit: 1" in err
    code, _, err = typed(capsys, "report", "nowhere", "-v")
    assert code == 2 and "folder.py" in err


def table(path, **how):
    rows = [
        ["id", "conversation", "ours"],
        ["1", "Kunde: Größe 42 fehlt. Agent: Sie kommt für 3 €.", "Größe 42 fehlt."],
    ]
    with open(path, "w", newline="", encoding=how.pop("encoding", "utf-8")) as f:
        csv.writer(f, **how).writerows(rows)


def test_tables_in_any_encoding_and_a_note_where_it_was_a_guess(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ("--use-case", CASE, "--responses", "ours", "--no-progress")
    table("w.csv", encoding="cp1252", delimiter=";")
    code, out, err = typed(capsys, "score-file", "w.csv", *words, "--out", "w")
    assert (
        code == 0
        and "was read as Windows-1252; --encoding" in out
        and "Größe" in Path("w/scored.csv").read_text("utf-8-sig")
    )
    assert "was read as Windows-1252" in Path("w/manifest.json").read_text(encoding="utf-8")
    code, out, _ = typed(capsys, "score-file", "w.csv", *words, "--out", "x", "--encoding", "cp1252")
    assert code == 0 and "was read as" not in out
    table("m.csv", encoding="utf-16", delimiter="\t")
    assert typed(capsys, "score-file", "m.csv", *words, "--out", "m")[0] == 0
    Path("k.csv").write_bytes("id,conversation,ours\n1,Добрый день,Да\n".encode("cp1251"))
    code, _, err = typed(capsys, "score-file", "k.csv", *words, "--out", "k")
    assert code == 2 and "--encoding" in err and "k.csv, line 2" in err
    assert typed(capsys, "score-file", "k.csv", *words, "--out", "k", "--encoding", "cp1251")[0] == 0
    table("old.csv", encoding="cp1252", delimiter=";")
    replay = ("run", "--model", "replay:w/responses.parquet", "--data", "old.csv", "--use-case", CASE)
    assert typed(capsys, *replay, "--out", "p", "--no-progress", "--encoding", "cp1252")[0] == 0


@pytest.mark.parametrize(
    "name", ["a#b 50%", "quo'te\"s <&>", "new\nline", os.fsdecode(b"odd\xff\xfe"), "-dash"]
)
def test_folders_of_odd_names(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    table(tmp_path / name / "in.csv")
    data, run = f"./{name}/in.csv", f"./{name}/r"
    words = ("--use-case", CASE, "--responses", "ours", "--responses", "again=ours", "--no-progress")
    for line in [
        ("score-file", data, *words, "--out", run),
        ("report", run, f"--table={name}/t.csv"),
        ("compare", f"{run}#ours", f"{run}#again", f"--html={name}/c.html"),
        ("list", f"./{name}", "--json"),
        (
            "run",
            "--model",
            f"replay:{run}/responses.parquet#ours",
            "--data",
            data,
            "--use-case",
            CASE,
            "--out",
            f"{run}2",
            "-q",
        ),
        ("erase", run, "--sample", "1"),
    ]:
        code, out, err = typed(capsys, *line)
        assert code == 0, (line, err)
    links = re.findall(r'(?:href|src)="([^"#:]+)"', (tmp_path / name / "r/report.html").read_text("utf-8"))
    assert all((tmp_path / name / "r" / link).exists() for link in links), links


def test_the_home_folder_is_meant_everywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    table(home / "in.csv")
    (home / "short.txt").write_text("Summarise: {conversation}\n{instructions}")
    for line in [
        f"run --model=baseline:lead --data=~/in.csv --use-case={CASE} --prompt={CASE}=~/short.txt --out=~/r "
        "--table=~/t.csv -q",
        f"run --model=replay:~/r/responses.parquet --data=~/in.csv --use-case={CASE} --out=~/s -q",
        f"score-file ~/in.csv --responses ours --use-case {CASE} --out=~/f --table=~/w.csv -q",
        "report ~/r --out=~/p.html",
        "compare ~/r ~/s --html=~/c.html --table=~/d.csv",
        f"plan --use-case={CASE} --file=~/plan.yaml",
        "rate ~/r --raters ann --out=~/rating",
        "list ~",
    ]:
        code, _, err = typed(capsys, *line.split(" "))
        assert code == 0, (line, err)
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
    assert (
        "no ratings"
        in typed(capsys, "rate", "~/r", "--out=~/rating", "--import", "~/rating/ann/sheet.csv")[2]
    )


MOMENTS = {
    "while packages are loaded": ("run", "--use-case", CASE),
    "reading": ("run", "--data", "-", "--use-case", CASE, "--model", "baseline:lead"),
    "asking": ("run", "--model", "openai:good", "--use-case", CASE, "--out", "a"),
    "judging": ("score", "r", "--judge", "openai:judge"),
    "serving": ("view", "r", "--serve", "0"),
}


def begun(moment, words, cwd, url):
    env = {**os.environ, "OPENAI_BASE_URL": url}
    options = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "preexec_fn": endpoint.interruptible,
    }
    return subprocess.Popen([sys.executable, "-m", "crmeval", *words], cwd=cwd, env=env, **options)


def test_the_interrupt_key_at_any_moment(tmp_path, server, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert (
        typed(
            capsys, "run", "--model", "baseline:lead", "--use-case", CASE, "--limit", 2, "--out", "r", "-q"
        )[0]
        == 0
    )
    server.pause = 20
    running = {m: begun(m, words, tmp_path, server.url) for m, words in MOMENTS.items()}
    time.sleep(0.3)
    running["while packages are loaded"].send_signal(signal.SIGINT)
    end = time.monotonic() + 40
    while len(server.bodies) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    running["serving"].stdout.readline()  # its address: the server is running
    time.sleep(1)
    start = time.monotonic()
    for moment in list(running)[1:]:
        running[moment].send_signal(signal.SIGINT)
    for moment, process in running.items():
        process.wait(30)  # before its standard input is closed
        _, err = process.communicate()
        served = moment == "serving"  # serving ends normally with the interrupt key
        assert process.returncode == (0 if served else 130), (moment, process.returncode, err)
        assert not re.search(r"Traceback|never awaited|was destroyed|Unclosed|Exception ignored", err), (
            moment,
            err,
        )
        assert served or "crmeval: stopped" in err, (moment, err)
    assert time.monotonic() - start < 9, "two seconds, with a margin for a busy machine"


def test_a_reader_that_goes_away_stops_no_report(tmp_path):
    words = f"run --model baseline:lead --use-case {CASE} --limit 1 --out r --no-progress"
    line = f"{sys.executable} -m crmeval {words} | head -1"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert (tmp_path / "r/report.html").is_file() and not done.stderr, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_told_in_words(unbuffered, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with open("/dev/full", "w", encoding="utf-8") as full:
        words = [sys.executable, "-m", "crmeval", "--version"], [sys.executable, "-m", "crmeval", "plan"]
        for line in words:
            done = subprocess.run(
                line, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=60
            )
            assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, line
            assert "No space left on device: the output could not be written; free some space" in done.stderr


@pytest.mark.parametrize("width", ["0", "1", "12"])
def test_help_in_a_terminal_without_width_is_not_empty(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", width)
    code, output, _ = typed(capsys, "--help")
    assert code == 0 and "run" in output and "exit" in output and len(output) > 1000


def test_more_calls_at_once_than_a_machine_can_hold(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = f"run --model baseline:lead --use-case {CASE} --limit 1 --out r -q --concurrency {10**20}"
    start = time.process_time()
    assert typed(capsys, *line.split()) == (0, "", "")
    assert cpu_since(start) < 8, "the concurrency must not slow one sample down"


def test_a_hyphen_is_standard_input(tmp_path):
    table(tmp_path / "in.csv")
    score = f"score-file - --responses ours --use-case {CASE} --out r -q"
    look = f"run --data - --model baseline:lead --use-case {CASE} --dry-run -q"
    for line in (score, look):
        done = crmeval(*line.split(), stdin=tmp_path / "in.csv", cwd=tmp_path, timeout=120)
        assert done.returncode == 0, done.stderr


def test_json_is_one_document(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ("run", "--model", "baseline:lead", "--use-case", CASE, "--limit", 1, "--out", "r")
    code, out, _ = typed(capsys, *words, "--json")
    assert code == 0 and json.loads(out)["exit_code"] == 0


def test_a_place_without_documents_leaves_no_index(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Path("kb")
    (place / "inner").mkdir(parents=True)
    for files, message in (
        ({}, "kb holds no files"),
        ({".hidden.md": "A."}, "kb holds no files"),
        ({"inner/a.zip": "x", "b": "x", "c.xls": "x"}, "the first of 3 files, b is of no known kind"),
        ({"note.txt": "", "page.html": ""}, "the first of 2 files, note.txt is empty"),
        ({"torn.docx": "no archive"}, "torn.docx is broken"),
    ):
        for name, text in files.items():
            (place / name).write_text(text)
        code, out, error = typed(capsys, "index", place, "--out", "made.sqlite")
        assert code == 2 and not out and message in error and "expected files that end in .txt, .md" in error
        assert not list(tmp_path.glob("made*")), files
        for name in files:
            (place / name).unlink()


@pytest.mark.parametrize(
    "text, kind",
    [
        ("models, data and a judge", "text"),
        ('"openai:m"', "text"),
        ("- models: x", "a list"),
        ("-3.5", "a number"),
        ("on", "yes or no"),
        ("2026-02-03", "a date"),
    ],
)
def test_a_file_of_settings_that_holds_none_is_told_in_words(capsys, tmp_path, text, kind):
    file = tmp_path / "p.yaml"
    file.write_text(text)
    for words in (("run", file), ("plan", file), ("gateway", "--model", "baseline:lead", "--policy", file)):
        code, _, error = typed(capsys, *words)
        assert code == 2 and f"p.yaml holds {kind}" in error and "expected fields" in error, error


@pytest.mark.parametrize(
    "models, needed",
    [
        (("openai:an-invented-model",), "OPENAI_API_KEY"),
        (("trusted:groq:m", "--model", "baseline:lead"), "GROQ_API_KEY"),
        (("openai:m", "--judge", "deepseek:n", "--api-key-env", "OUR_KEY"), "OUR_KEY"),
    ],
)
def test_a_dry_run_needs_no_key_and_says_which_one_the_run_needs(
    capsys, tmp_path, monkeypatch, models, needed
):
    for name in [n for n in os.environ if n.endswith("_KEY") or n == "OPENAI_BASE_URL"]:
        monkeypatch.delenv(name)
    words = ("run", "--limit", "1", "--use-case", CASE, "--out", tmp_path / "r", "--model", *models)
    code, out, error = typed(capsys, *words, "--dry-run")
    assert code == 0 and f"needs a key: set the environment variable {needed}" in out, error
    code, _, error = typed(capsys, *words)
    assert code == 2 and "no key: set the environment variable" in error and not list(tmp_path.iterdir())


WITHOUT_DUCKDB = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "duckdb":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from crmeval.cli.app import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "line, message",
    [
        ("live report gone.parquet e.csv", "there is no file 'gone.parquet'"),
        ("live report r.csv gone.ndjson", "there is no file 'gone.ndjson'"),
        ("live report r.csv e.txt", "e.txt ends in '.txt'"),
        ("live report r.csv e.csv", "live report needs duckdb: pip install 'crmeval[connect]'"),
        ("live demo", "live demo needs duckdb: pip install 'crmeval[connect]'"),
        ("index c.yaml --out k.sqlite --name a --sql SELECT", "index needs duckdb: pip install"),
    ],
)
def test_a_missing_package_is_told_for_the_command_and_after_a_missing_file(tmp_path, line, message):
    for name in ("r.csv", "e.csv", "e.txt"):
        (tmp_path / name).write_text("reply,event,kind,time\n")
    (tmp_path / "c.yaml").write_text("sources:\n  r: {kind: csv, address: r.csv}\n")
    run = [sys.executable, "-c", WITHOUT_DUCKDB, *line.split()]
    where = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, env=where)
    assert done.returncode == 2 and done.stderr.startswith(f"crmeval: {message}"), done.stderr
    assert not (tmp_path / "k.sqlite").exists()
