"""Connectors against servers on loopback that answer like the interfaces do; no account is called."""

import json
import threading
from datetime import datetime, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval.connect import api, rest_calls
from crmeval.connect.sources import ConnectError, Limit, Source

SECRET = "tok-very-secret-1"


class Clock:
    def __init__(self):
        self.now, self.slept = 1_800_000_000.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
        self.server.asked.append((self.command, parts.path, query, text, self.headers.get("Authorization")))
        status, headers, body = self.server.answer(parts.path, query, text, self.headers)
        cut = headers.pop("cut", False)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)

    do_POST = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    made = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    made.address = f"http://127.0.0.1:{made.server_port}"
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    for name in ("API_TOKEN", "API_CLIENT", "API_SECRET", "API_USER"):
        monkeypatch.setenv(name, f"{SECRET}-{name}")


def made(server, answer, kind="salesforce", secrets=None, **source):
    server.asked, server.answer, clock = [], answer, Clock()
    secrets = secrets or {"token": "API_TOKEN"}
    if kind == "zendesk" and "user" not in secrets:
        secrets["user"] = "API_USER"
    said = Source("crm", kind, server.address, secrets, **source)
    return api.Connector.from_source(said, clock, clock.sleep), clock


def moment(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def cases(*numbers):
    return [{"attributes": {}, "Id": f"5{n}", "Subject": f"S{n}"} for n in numbers]


SOME = (200, {}, {"records": cases(1), "done": True})


def test_salesforce_pages_and_bound_values(server):
    def answer(path, query, text, headers):
        if "q" in query:
            return 200, {}, {"records": cases(1, 2), "nextRecordsUrl": "/services/data/v62.0/query/01g-2"}
        return 200, {}, {"records": cases(2, 3), "done": True}

    crm, _ = made(server, answer)
    since = datetime(2026, 1, 1, 0, 1, tzinfo=timezone.utc)
    got = list(crm.rows("cases", ["id", "subject"], since, {"subject": "x' OR Id != '"}))
    assert got == [{"id": f"5{n}", "subject": f"S{n}"} for n in (1, 2, 3)]
    asked = server.asked[0][2]["q"]
    assert asked == (
        r"SELECT Id, Subject FROM Case WHERE Subject = 'x\' OR Id != \''"
        " AND SystemModstamp >= 2026-01-01T00:00:00Z ORDER BY SystemModstamp, Id"
    )
    with pytest.raises(ConnectError, match="is no name"):
        crm.rows("cases", where={"Id FROM User": 1})


def test_a_token_that_ended_is_fetched_again_and_before_its_end(server):
    tokens = iter(f"{SECRET}-{n}" for n in range(9))
    valid = [f"Bearer {SECRET}-1"]

    def answer(path, query, text, headers):
        if path == "/services/oauth2/token":
            return 200, {}, {"access_token": next(tokens), "token_type": "Bearer"}
        if headers["Authorization"] not in valid:
            return 401, {}, [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]
        return SOME

    crm, clock = made(server, answer, secrets={"client_id": "API_CLIENT", "client_secret": "API_SECRET"})
    assert len(list(crm.rows("cases"))) == 1
    assert [a[1].rpartition("/")[2] for a in server.asked] == ["token", "query", "token", "query"]
    clock.now += 3600 - 30
    valid[:] = [f"Bearer {SECRET}-2"]
    assert len(list(crm.rows("cases"))) == 1 and len(server.asked) == 6
    valid[:] = []
    with pytest.raises(rest_calls.SignInFailed) as told:
        list(crm.rows("cases"))
    assert told.value.status == 401 and SECRET not in str(told.value) + repr(crm)


@pytest.mark.parametrize("said, waited", [("7", 7), (formatdate(1_800_000_009, usegmt=True), 9)])
def test_the_wait_that_the_server_names_is_taken(server, said, waited):
    answers = [(429, {"Retry-After": said}, {}), SOME]
    crm, clock = made(server, lambda *_: answers.pop(0), options={"per_second": 1000})
    assert len(list(crm.rows("cases"))) == 1
    assert abs(clock.slept[0] - waited) < 0.01 or abs(sum(clock.slept) - waited) < 0.01


def test_a_wait_that_is_too_long_and_a_limit_used_up(server):
    crm, clock = made(server, lambda *_: (429, {"Retry-After": "86400"}, {}))
    with pytest.raises(rest_calls.Throttled):
        list(crm.rows("cases"))
    assert not clock.slept and len(server.asked) == 1
    crm, clock = made(
        server, lambda *_: (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "20"}, SOME[2])
    )
    assert list(crm.rows("cases")) == list(crm.rows("cases")) and sum(clock.slept) == pytest.approx(20)


BROKEN = {
    "html": ((200, {"Content-Type": "text/html"}, b"<html>down</html>"), rest_calls.BadAnswer, 1),
    "other": ((200, {}, {"rows": []}), rest_calls.BadAnswer, 1),
    "redirect": ((302, {"Location": "https://evil.example/"}, {}), rest_calls.Forbidden, 1),
    "host": ((200, {}, {"records": [], "nextRecordsUrl": "https://evil.example/"}), rest_calls.Forbidden, 1),
    "loop": ((200, {}, {"records": [], "nextRecordsUrl": "/a"}), rest_calls.BadAnswer, 2),
    "huge": ((200, {}, b" " * 2000), rest_calls.TooLarge, 1),
    "forbidden": ((403, {}, [{"message": f"no {SECRET}-API_TOKEN"}]), rest_calls.Forbidden, 1),
    "cursor": ((404, {}, [{"errorCode": "INVALID_QUERY_LOCATOR"}]), rest_calls.Gone, 1),
    "query": ((400, {}, [{"errorCode": "MALFORMED_QUERY"}]), rest_calls.BadRequest, 1),
    "down": ((503, {}, b"busy"), rest_calls.Gone, 5),
    "cut": ((200, {"cut": True}, {"records": []}), rest_calls.Gone, 5),
    "token": ((401, {}, {}), rest_calls.SignInFailed, 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_goes_wrong_is_told_by_kind_and_without_secrets(server, name):
    answer, kind, tries = BROKEN[name]
    crm, _ = made(server, lambda *_: (answer[0], dict(answer[1]), answer[2]))
    crm.sign.caller.most = 1000
    with pytest.raises(kind) as told:
        list(crm.rows("cases"))
    assert len(server.asked) == tries
    assert "'crm', cases" in str(told.value) and SECRET not in str(told.value)


def test_bulk_jobs(server):
    states = ["UploadComplete", "InProgress", "JobComplete"]

    def answer(path, query, text, headers):
        if path.endswith("/results"):
            last = query.get("locator") == "L2"
            body = b'"Id","Subject"\n"2","a, b"\n' if last else b'"Id","Subject"\n"1","two\nlines"\n'
            return 200, {"Sforce-Locator": "null" if last else "L2", "Content-Type": "text/csv"}, body
        return 200, {}, {"id": "750A"} if text else {"id": "750A", "state": states.pop(0)}

    crm, _ = made(server, answer)
    got = list(api.bulk_rows(crm, "cases", ["id", "subject"]))
    assert got == [{"id": "1", "subject": "two\nlines"}, {"id": "2", "subject": "a, b"}]
    states[:] = ["Failed"]
    with pytest.raises(rest_calls.BadAnswer, match="Failed"):
        list(api.bulk_rows(crm, "cases", ["id"]))


def test_hubspot_goes_on_beyond_its_window_and_zendesk_to_the_end_of_its_stream(server):
    stored = [(n, 1_700_000_000 + n // 3) for n in range(23)]

    def hubspot(path, query, text, headers):
        said = json.loads(text)
        filters = [f for g in said.get("filterGroups", []) for f in g["filters"]]
        begin = int(filters[0]["value"]) / 1000 if filters else 0
        rows = [r for r in stored if r[1] >= begin]
        skip = int(said.get("after", 0))
        page, rest = rows[skip : skip + 5], len(rows) > skip + 5
        items = [
            {"id": str(n), "properties": {"subject": f"S{n}", "hs_lastmodifieddate": moment(t)}}
            for n, t in page
        ]
        return 200, {}, {"results": items, **({"paging": {"next": {"after": str(skip + 5)}}} if rest else {})}

    hub, _ = made(server, hubspot, "hubspot")
    hub.file["resources"]["tickets"]["window"] = 10
    assert [r["subject"] for r in hub.rows("tickets", ["subject"])] == [f"S{n}" for n in range(23)]

    def zendesk(path, query, text, headers):
        begin = int(query.get("cursor", 0))
        page = [{"id": n, "updated_at": "t"} for n in range(begin, min(begin + 4, 10))]
        link = f"{server.address}{path}?cursor={begin + 4}"
        return 200, {}, {"tickets": page, "after_url": link, "end_of_stream": begin + 4 >= 10}

    desk, _ = made(server, zendesk, "zendesk")
    assert [r["id"] for r in desk.rows("tickets", ["id"])] == list(range(10))
    assert server.asked[0][4].startswith("Basic ") and server.asked[0][2] == {"start_time": "0"}


PAGES = {
    "offset": {"kind": "offset", "into": "skip"},
    "page": {"kind": "page", "into": "page", "first": 1},
    "link": {"kind": "link"},
    "cursor": {"kind": "cursor", "next": "next", "into": "skip"},
    "next_url": {"kind": "next_url", "next": "url"},
}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(PAGES)),
    st.integers(1, 9),
    st.integers(0, 25),
    st.lists(st.sampled_from("5tc."), max_size=12),
)
def test_any_paging_gives_the_same_rows_also_when_calls_fail(server, kind, size, count, fates):
    fates, base = list(fates), f"{server.address}/c"

    def answer(path, query, text, headers):
        fate = fates.pop(0) if fates else "."
        if fate in "5t":
            return (503 if fate == "5" else 429), {}, {}
        skip = int(query.get("skip", 0)) if kind != "page" else (int(query.get("page", 1)) - 1) * size
        body = {"items": [{"id": n} for n in range(skip, min(skip + size, count))]}
        following = f"{base}?skip={skip + size}"
        more = skip + size < count
        links = {"Link": f'<{following}>; rel="next"'} if more and kind == "link" else {}
        body |= {"next": str(skip + size), "url": following} if more else {}
        return 200, links | ({"cut": True} if fate == "c" else {}), body

    spec = {"path": "/c", "rows": "items", "id": "id", "pages": PAGES[kind], "ask": {"kind": "params"}}
    crm, _ = made(server, answer, options={"tries": 20})
    crm.file = {"resources": {"c": spec}}
    assert [row["id"] for row in crm.rows("c")] == list(range(count))


def test_what_the_catalogue_allows(server):
    crm, _ = made(server, lambda *_: SOME, read={"cases": ("id",)})
    assert crm.resources() == ["cases"] and list(crm.rows("cases")) == [{"id": "51"}]
    for asked in (lambda: crm.rows("cases", ["subject"]), lambda: list(crm.rows("contacts"))):
        with pytest.raises(ConnectError, match="may not be read"):
            asked()
    with pytest.raises(ConnectError, match="not encrypted"):
        api.Connector.from_source(Source("crm", "salesforce", "http://crm.example", {"token": "API_TOKEN"}))


def test_a_reading_ends_at_the_limit_of_the_policy(server):
    answer = (200, {}, {"records": cases(1, 2, 3), "done": True})
    crm, _ = made(server, lambda *_: answer, limit=Limit(rows=2))
    with pytest.raises(rest_calls.TooLarge, match="2 rows"):
        list(crm.rows("cases"))
    crm, _ = made(server, lambda *_: answer, limit=Limit(rows=3))
    assert len(list(crm.rows("cases"))) == 3


def test_a_secret_with_a_line_break_is_not_shown(server, monkeypatch):
    monkeypatch.setenv("API_TOKEN", f"{SECRET}\n")
    crm, _ = made(server, lambda *_: SOME)
    assert len(list(crm.rows("cases"))) == 1 and server.asked[0][4] == f"Bearer {SECRET}"
    monkeypatch.setenv("API_TOKEN", f"{SECRET}\nX-Other: 1")
    crm, _ = made(server, lambda *_: SOME)
    with pytest.raises(rest_calls.BadRequest) as told:
        list(crm.rows("cases"))
    assert SECRET not in str(told.value) and not server.asked
