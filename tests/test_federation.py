"Federation against real servers: pushed-down conditions, refusals, broken connections, error messages."

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import time

import pytest
import servers

pytest.importorskip("duckdb")

from crmeval.connect.federation import Catalogue  # noqa: E402
from crmeval.connect.sources import (  # noqa: E402
    BadData,
    ConnectError,
    LoginRefused,
    MissingPackage,
    MissingSecret,
    NotAllowed,
    SourceChanged,
    SourceGone,
    TooMuch,
)

ROWS = 20_000
TABLE = (
    "CREATE TABLE cases (id BIGINT PRIMARY KEY, subject VARCHAR(80), body TEXT, n INT, phone TEXT, {more})"
)
READ = {"cases": ["id", "subject", "body", "n", "opened"]}


@pytest.fixture(scope="module")
def postgres():
    try:
        with servers.postgres() as server:
            server.say(TABLE.format(more="opened TIMESTAMPTZ"))
            server.say(
                "INSERT INTO cases SELECT i, 'subject ' || i % 100, repeat('x', 100), i % 7, '555 01', "
                f"TIMESTAMPTZ '2024-01-01 00:00+02' + i * INTERVAL '1 min' FROM generate_series(1, {ROWS}) i"
            )
            server.say("GRANT SELECT ON cases TO reader")
            yield server
    except servers.NotHere as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def mariadb():
    try:
        with servers.mariadb() as server:
            server.say(f"USE crm; {TABLE.format(more='opened DATETIME')}")
            server.say(
                "USE crm; INSERT INTO cases SELECT seq, concat('subject ', seq % 100), repeat('x', 100), "
                f"seq % 7, '555 01', '2024-01-01 10:00:00' FROM seq_1_to_{ROWS}"
            )
            yield server
    except servers.NotHere as error:
        pytest.skip(str(error))


def catalogue(server, kind, **more):
    database = "postgres" if kind == "postgres" else "crm"
    words = f"host=127.0.0.1 port={server.port} user=reader dbname={database}"
    entry = {"kind": kind, "address": words, "secrets": {"password": "CRM_PASSWORD"}, "read": READ, **more}
    return Catalogue.of({"sources": {"crm": entry}})


@pytest.fixture(autouse=True)
def password(monkeypatch):
    monkeypatch.setenv("CRM_PASSWORD", servers.PASSWORD)


@pytest.fixture(params=["postgres", "mysql"])
def either(request):
    "Return (kind, server) for each server."
    return request.param, request.getfixturevalue("postgres" if request.param == "postgres" else "mariadb")


def said_since(server, before):
    return server.log.read_text(errors="replace")[before:]


def test_columns_and_conditions_reach_the_server(either):
    kind, server = either
    before = len(server.log.read_text(errors="replace"))
    rows = catalogue(server, kind).query("SELECT subject FROM crm.cases WHERE id = $id", {"id": 7})
    assert list(rows.rows()) == [{"subject": "subject 7"}]
    lines = said_since(server, before).splitlines()
    statements = [line for line in lines if "subject" in line and "7" in line and "SELECT" in line]
    assert statements and all("body" not in line for line in statements), statements
    assert any("WHERE" in line and "id" in line.partition("WHERE")[2] for line in statements), statements


def test_only_listed_columns_are_shown(either):
    kind, server = either
    sources = catalogue(server, kind)
    assert sources.query("SELECT * FROM crm.cases LIMIT 1").schema.names == READ["cases"]
    with pytest.raises(NotAllowed, match="the column cases.phone may not be read"):
        sources.query("SELECT phone FROM crm.cases WHERE id = 1")
    with pytest.raises(NotAllowed, match="the table accounts may not be read"):
        sources.query("SELECT * FROM crm.accounts")


@pytest.mark.parametrize("value", ["x' OR '1'='1", "'; DROP TABLE cases; --", "\\' OR 1=1 -- ", 'x" OR ""="'])
def test_a_value_is_never_part_of_the_statement(either, value):
    kind, server = either
    sources = catalogue(server, kind, limit={"rows": ROWS})
    assert list(sources.query("SELECT id FROM crm.cases WHERE subject = $s AND id < 40", {"s": value})) == []
    where = "" if kind == "postgres" else "crm."
    assert int(server.say(f"SELECT count(*) FROM {where}cases")) == ROWS


def test_too_much_is_refused_before_a_row_leaves(either):
    kind, server = either
    sources = catalogue(server, kind, limit={"rows": 500})
    before = len(server.log.read_text(errors="replace"))
    with pytest.raises(TooMuch, match="at least 501 rows, allowed are 500"):
        sources.query("SELECT avg(length(body)) FROM crm.cases")
    lines = [line.partition("SELECT")[2] for line in said_since(server, before).splitlines()]
    assert any("count(*)" in line for line in lines)
    assert not [line for line in lines if "body" in line and "count(*)" not in line and "cases" in line]
    assert sources.query("SELECT id FROM crm.cases WHERE id <= 500").to_table().num_rows == 500
    assert sources.query("SELECT id FROM crm.cases LIMIT 5").to_table().num_rows == 5


def test_the_servers_own_sql_reads_and_cannot_write(either):
    kind, server = either
    with pytest.raises(NotAllowed, match="own_sql: true"):
        catalogue(server, kind).query_at("crm", "SELECT phone FROM cases")
    sources = catalogue(server, kind, own_sql=True, limit={"rows": 10})
    query = "SELECT id FROM cases ORDER BY id DESC LIMIT 3"
    assert [row["id"] for row in sources.query_at("crm", query).rows()] == [ROWS, ROWS - 1, ROWS - 2]
    with pytest.raises(TooMuch, match="at least 11 rows"):
        sources.query_at("crm", "SELECT id FROM cases")
    for writing in ("DELETE FROM cases", "SELECT 1; DELETE FROM cases", "INSERT INTO cases (id) VALUES (0)"):
        with pytest.raises(ValueError):
            list(sources.query_at("crm", writing))


def test_a_wrong_password_is_told_without_it(either, monkeypatch):
    kind, server = either
    monkeypatch.setenv("CRM_PASSWORD", "wrong'pass\\word")
    with pytest.raises(LoginRefused, match="'crm' does not accept user or secret") as caught:
        catalogue(server, kind).query("SELECT id FROM crm.cases")
    assert "wrong" not in str(caught.value) and "pass\\word" not in repr(caught.value)
    monkeypatch.delenv("CRM_PASSWORD")
    with pytest.raises(MissingSecret, match="CRM_PASSWORD"):
        catalogue(server, kind).query("SELECT id FROM crm.cases")


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_server_that_is_not_there(kind):
    class Nowhere:
        port = 1

    with pytest.raises(SourceGone, match="'crm' does not answer") as caught:
        catalogue(Nowhere, kind).query("SELECT id FROM crm.cases")
    assert "secret" not in str(caught.value)


def test_a_server_that_goes_in_the_middle(postgres):
    rows = catalogue(postgres, "postgres").query(
        "SELECT a.id, a.body FROM crm.cases a, range(200)", size=1000
    )
    batches = iter(rows)
    next(batches)
    postgres.say("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")
    with pytest.raises(SourceGone, match="'crm'"):
        for _ in batches:
            pass


def test_a_table_that_was_altered(postgres):
    postgres.say("CREATE TABLE notes (id INT, text TEXT, mood TEXT); GRANT SELECT ON notes TO reader")
    sources = catalogue(postgres, "postgres", read={"notes": ["id", "mood"]})
    assert list(sources.query("FROM crm.notes")) == []
    postgres.say("ALTER TABLE notes RENAME mood TO feeling")
    with pytest.raises(SourceChanged, match="notes has no column 'mood'; it has id, text, feeling"):
        sources.query("FROM crm.notes")
    postgres.say("DROP TABLE notes")
    with pytest.raises(SourceChanged, match="has no table notes; it has cases"):
        sources.query("FROM crm.notes")


def test_times_with_a_zone(postgres):
    (row,) = catalogue(postgres, "postgres").query("SELECT opened FROM crm.cases WHERE id = 60").rows()
    assert row["opened"].isoformat() == "2023-12-31T23:00:00+00:00"


def test_a_missing_extension_names_its_package(monkeypatch, tmp_path):
    from crmeval.connect import engine

    engine.extension_path.cache_clear()
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    sqlite3.connect(tmp_path / "a.db").close()
    sources = Catalogue.of({"sources": {"a": {"kind": "sqlite", "address": "a.db"}}}, tmp_path)
    with pytest.raises(MissingPackage, match="pip install duckdb-extension-sqlite-scanner==1"):
        sources.query("FROM a.t")
    engine.extension_path.cache_clear()


def test_a_warehouse_of_the_same_protocol(postgres):
    pytest.importorskip("adbc_driver_postgresql")
    address = f"redshift://reader@127.0.0.1:{postgres.port}/postgres"
    entry = {
        "kind": "redshift",
        "address": address,
        "secrets": {"password": "CRM_PASSWORD"},
        "limit": {"rows": 50},
    }
    sources = Catalogue.of({"sources": {"wh": entry}})
    rows = sources.query_at("wh", "SELECT id, subject FROM cases WHERE id <= 3 ORDER BY id")
    assert list(rows.rows())[2] == {"id": 3, "subject": "subject 3"}
    with pytest.raises(TooMuch, match="at least 51 rows"):
        sources.query_at("wh", "SELECT id FROM cases")
    with pytest.raises(ValueError):
        list(sources.query_at("wh", "DELETE FROM cases RETURNING id"))
    with pytest.raises(NotAllowed, match="use query_at"):
        sources.query("SELECT id FROM wh.cases")
    assert int(postgres.say("SELECT count(*) FROM cases")) == ROWS


def test_a_warehouse_with_a_wrong_password(postgres, monkeypatch):
    pytest.importorskip("adbc_driver_postgresql")
    monkeypatch.setenv("CRM_PASSWORD", "wrong'pass")
    entry = {"kind": "redshift", "address": f"redshift://reader@127.0.0.1:{postgres.port}/postgres"}
    sources = Catalogue.of({"sources": {"wh": {**entry, "secrets": {"password": "CRM_PASSWORD"}}}})
    with pytest.raises(LoginRefused, match="'wh' does not accept user or secret") as caught:
        sources.query_at("wh", "SELECT 1")
    assert "wrong" not in str(caught.value)


@pytest.fixture(scope="module")
def snowflake():
    "Yield the port of fakesnow, which serves the Snowflake protocol on DuckDB 1.5."
    pytest.importorskip("adbc_driver_snowflake", reason="adbc-driver-snowflake is not installed")
    pytest.importorskip(
        "fakesnow", reason="fakesnow[server] with snowflake-connector-python<5 is not installed"
    )
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    code = f"from fakesnow.cli import main; main(['-s', '-p', '{port}'])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-c", code], env=env, **quiet)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            assert process.poll() is None, "fakesnow ended"
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def test_snowflake_through_its_driver(snowflake, monkeypatch):
    from crmeval.connect.sources import Source
    from crmeval.connect.warehouses import open_warehouse

    monkeypatch.setenv("WH_PASSWORD", "it's a \\secret 42")
    address = f"snowflake://reader@127.0.0.1:{snowflake}/crm/public?account=fakesnow&protocol=http"
    entry = {"kind": "snowflake", "address": address, "secrets": {"password": "WH_PASSWORD"}}
    owner = open_warehouse(Source("wh", "snowflake", address, secrets={"password": "WH_PASSWORD"}))
    with owner.cursor() as cursor:
        cursor.execute("CREATE TABLE cases (id INT, subject TEXT)")
        cursor.execute("INSERT INTO cases VALUES " + ", ".join(f"({n}, 'lamp {n}')" for n in range(60)))
    owner.commit()
    sources = Catalogue.of({"sources": {"wh": {**entry, "limit": {"rows": 50}}}})
    rows = list(sources.query_at("wh", "SELECT id, subject FROM cases WHERE id < 3 ORDER BY id").rows())
    assert [{k.lower(): v for k, v in row.items()} for row in rows][2] == {"id": 2, "subject": "lamp 2"}
    with pytest.raises(TooMuch, match="at least 51 rows"):
        sources.query_at("wh", "SELECT id FROM cases")
    with pytest.raises(NotAllowed, match="semicolon"):
        sources.query_at("wh", "SELECT 1; DROP TABLE cases")
    with pytest.raises(ConnectError) as caught:
        list(sources.query_at("wh", "SELECT id FROM nothing_here"))
    assert "wh" in str(caught.value) and "secret 42" not in str(caught.value)
    owner.close()


CODES = {
    "more digits than a double holds": (["90071992547409931234", "90071992547409931235"], True),
    "as many as a double almost holds": (["9223372036854775808", "9223372036854775809", "1"], True),
    "with cents": (["12345678901234567.89", "12345678901234567.91"], False),
    "that look like powers": (["12E4", "120E3"], False),
    "of up to eighteen digits": (["123456789", "999999999999999999"], True),
}


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("apart", [False, True])
def test_two_numbers_in_a_file_never_become_one(tmp_path, form, kind, apart):
    codes, whole = CODES[kind]
    if form == "json" and not whole:
        pytest.skip("in JSON an unquoted number is a number")
    files = [[codes[0]], codes[1:]] if apart else [codes]
    for n, numbers in enumerate(files):
        lines = (
            [f"{c},1.5,x" for c in numbers]
            if form == "csv"
            else [f'{{"id": {c}, "a": 1.5}}' for c in numbers]
        )
        head = ["id,a,b"] if form == "csv" else []
        (tmp_path / f"{n}.{form}").write_text("\n".join([*head, *lines]) + "\n")
    found = Catalogue.of({"sources": {"f": {"kind": form, "address": f"*.{form}"}}}, tmp_path)
    assert [str(row["id"]) for row in found.query("SELECT id FROM f").rows()] == codes
    assert {row["a"] for row in found.query("SELECT a FROM f").rows()} == {1.5}
    one = found.query("SELECT count(*) AS n FROM f WHERE id = $id", {"id": codes[0]}).rows()
    assert [row["n"] for row in one] == [1]


def test_numbers_stay_numbers_and_what_the_catalogue_says_goes_before(tmp_path):
    (tmp_path / "n.csv").write_text("a,b,c\n0.30000000000000004,1e+20,90071992547409931234\n-5,2.5,7\n")
    entry = {"kind": "csv", "address": "n.csv", "types": {"c": "HUGEINT"}}
    rows = list(Catalogue.of({"sources": {"f": entry}}, tmp_path).query("SELECT * FROM f").rows())
    assert [(row["a"], row["b"]) for row in rows] == [(0.30000000000000004, 1e20), (-5.0, 2.5)]
    assert [int(row["c"]) for row in rows] == [90071992547409931234, 7]


def test_a_text_in_json_is_itself_whatever_other_rows_hold(tmp_path):
    lines = ['{"v": "x \\"y\\""}', '{"v": 5}', '{"v": {"a": 1}}', '{"v": null}', '{"v": "5"}']
    (tmp_path / "m.jsonl").write_text("\n".join(lines) + "\n")
    found = Catalogue.of({"sources": {"f": {"kind": "json", "address": "m.jsonl"}}}, tmp_path)
    assert [row["v"] for row in found.query("SELECT v FROM f").rows()] == [
        'x "y"',
        "5",
        '{"a":1}',
        None,
        "5",
    ]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize("content", [b"", b"no database at all" * 9, b"SQLite format 3\x00" + bytes(200)])
def test_a_file_that_is_no_database_is_told_by_its_source(tmp_path, kind, content):
    (tmp_path / "x.file").write_bytes(content)
    found = Catalogue.of({"sources": {"crm": {"kind": kind, "address": "x.file"}}}, tmp_path)
    for ask in (found.tables, lambda: found.query("SELECT * FROM crm.cases")):
        try:
            assert ask() == []
        except ConnectError as error:
            assert "crm" in str(error)


@pytest.mark.parametrize(
    "kind, value, what",
    [
        ("TIMESTAMP", "2024-01-02T10:00:00+02:00", "another zone"),
        ("DATETIME", "2024-01-02 10:00-05:30", "another zone"),
        ("TIMESTAMP", "2024-01-02T10:00:00.123+0100", "another zone"),
        ("DATE", 20240102, "days as numbers"),
    ],
)
def test_a_time_of_sqlite_is_never_another_time(tmp_path, kind, value, what):
    db = sqlite3.connect(tmp_path / "t.db")
    db.execute(f'CREATE TABLE t (id INTEGER, "od""d" {kind})')
    db.executemany("INSERT INTO t VALUES (?, ?)", [(1, None), (2, value)])
    db.commit()
    entry = {"kind": "sqlite", "address": "t.db"}
    found = Catalogue.of({"sources": {"s": entry}}, tmp_path)
    for sql in ('SELECT "od""d" FROM s.t', 'SELECT count(*) FROM s.t WHERE "od""d" > DATE \'2024-01-01\''):
        with pytest.raises(BadData, match=what) as caught:
            list(found.query(sql).rows())
        assert str(value) not in str(caught.value)
    assert [row["id"] for row in found.query("SELECT id FROM s.t").rows()] == [1, 2]
    as_text = Catalogue.of({"sources": {"s": {**entry, "as_text": True}}}, tmp_path)
    assert [row['od"d'] for row in as_text.query("SELECT * FROM s.t").rows()] == [None, str(value)]


@pytest.mark.parametrize(
    "value", ["2024-01-02 10:00:00", "2024-01-02T10:00:00Z", "2024-01-02 10:00:00+00:00"]
)
def test_a_time_of_sqlite_in_utc_is_read(tmp_path, value):
    db = sqlite3.connect(tmp_path / "t.db")
    db.execute("CREATE TABLE t (at TIMESTAMP, day DATE)")
    db.execute("INSERT INTO t VALUES (?, '2024-01-02')", (value,))
    db.commit()
    found = Catalogue.of({"sources": {"s": {"kind": "sqlite", "address": "t.db"}}}, tmp_path)
    (row,) = found.query("SELECT * FROM s.t").rows()
    assert (row["at"].isoformat(), row["day"].isoformat()) == ("2024-01-02T10:00:00", "2024-01-02")
