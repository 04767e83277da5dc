"""Connectors against loopback servers that answer like the real interfaces; no account is needed."""

import ipaddress
import json
import ssl
import threading
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmeval.connect import api, rest_calls
from crmeval.connect.connector_files import moment_of, read_connector
from crmeval.connect.sources import BadCatalogue, BadQuery, ConnectError, Limit, Source

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
    source_of = Source("crm", kind, server.address, secrets, **source)
    return api.Connector.from_source(source_of, clock, clock.sleep), clock


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
    soql = server.asked[0][2]["q"]
    assert soql == (
        r"SELECT Id, Subject FROM Case WHERE Subject = 'x\' OR Id != \''"
        " AND SystemModstamp >= 2026-01-01T00:00:00Z ORDER BY SystemModstamp, Id"
    )
    with pytest.raises(ConnectError, match="is not the name"):
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
    with pytest.raises(rest_calls.SignInFailed) as caught:
        list(crm.rows("cases"))
    assert caught.value.status == 401 and SECRET not in str(caught.value) + repr(crm)


@pytest.mark.parametrize("header, waited", [("7", 7), (formatdate(1_800_000_009, usegmt=True), 9)])
def test_the_wait_that_the_server_names_is_taken(server, header, waited):
    answers = [(429, {"Retry-After": header}, {}), SOME]
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
    with pytest.raises(kind) as caught:
        list(crm.rows("cases"))
    assert len(server.asked) == tries
    assert "'crm', cases" in str(caught.value) and SECRET not in str(caught.value)


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
        content = json.loads(text)
        filters = [f for g in content.get("filterGroups", []) for f in g["filters"]]
        begin = int(filters[0]["value"]) / 1000 if filters else 0
        rows = [r for r in stored if r[1] >= begin]
        skip = int(content.get("after", 0))
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


@settings(max_examples=30, deadline=None)
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
    for request in (lambda: crm.rows("cases", ["subject"]), lambda: list(crm.rows("contacts"))):
        with pytest.raises(ConnectError, match="may not be read"):
            request()
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
    with pytest.raises(rest_calls.BadRequest) as caught:
        list(crm.rows("cases"))
    assert SECRET not in str(caught.value) and not server.asked


def test_a_reading_ends_at_the_bytes_of_the_policy(server):
    size = api.size_of({"id": "51", "subject": "S1"})
    answer = (200, {}, {"records": cases(1, 2, 3), "done": True})
    crm, _ = made(server, lambda *_: answer, limit=Limit(bytes=2 * size))
    rows, got = crm.rows("cases", ["id", "subject"]), []
    with pytest.raises(rest_calls.TooLarge, match=f"{2 * size} bytes.*row 3"):
        got.extend(rows)
    assert len(got) == 2
    crm, _ = made(server, lambda *_: answer, limit=Limit(bytes=3 * size))
    assert len(list(crm.rows("cases", ["id", "subject"]))) == 3


GOOD = {"path": "/c", "id": "id", "pages": {"kind": "offset", "into": "skip"}, "ask": {"kind": "params"}}
LACKING = {
    "id": {"id": None},
    "path": {"path": ""},
    "object": {"ask": {"kind": "soql"}},
    "modified_field": {"ask": {"kind": "groups"}},
    "modified": {"window": 10},
    "into": {"pages": {"kind": "page"}},
    "next": {"pages": {"kind": "cursor", "into": "skip"}},
    "pages": {"pages": [1]},
    "ask": {"ask": "soql"},
    "per_second": {"per_second": "fast"},
    "limits": {"limits": "CODE"},
}


@pytest.mark.parametrize("key", LACKING)
def test_a_file_that_lacks_something_is_told_before_anything_is_asked(tmp_path, key):
    content = {"auth": {"bearer": {"secrets": ["token"]}}, "resources": {"cases": {**GOOD, **LACKING[key]}}}
    (tmp_path / "my.json").write_text(json.dumps(content))
    source = Source("crm", "rest", "https://crm.example", options={"connector": "my.json"}, folder=tmp_path)
    with pytest.raises(BadCatalogue, match=rf"my\.json: cases: .*{key}"):
        read_connector(source)
    content["resources"]["cases"] = GOOD
    for wrong in ({"bearer": {}}, {"basic": {"secrets": ["token"]}}, {"magic": {}}, {"oauth": [1]}):
        (tmp_path / "my.json").write_text(json.dumps({**content, "auth": wrong}))
        with pytest.raises(BadCatalogue, match="auth: "):
            read_connector(source)


@settings(deadline=None)
@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),
    st.integers(0, 12),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["%H:%M", "%H%M"]),
)
def test_times_with_any_digits_and_zones_are_read(when, digits, minutes, form):
    zone = timezone(timedelta(minutes=minutes))
    local = when.replace(tzinfo=timezone.utc).astimezone(zone)
    fraction = f"{when.microsecond:06d}".ljust(12, "7")[:digits]
    sign, shift = "-" if minutes < 0 else "+", datetime(1970, 1, 1) + timedelta(minutes=abs(minutes))
    offset = f"{sign}{shift.strftime(form)}" if minutes else "Z"
    text = local.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + offset
    kept = int(fraction[:6].ljust(6, "0"))
    assert moment_of(text) == when.replace(microsecond=kept, tzinfo=timezone.utc)


def test_a_reading_that_was_moved_is_followed_once_on_its_host(server):
    def answer(path, query, text, headers):
        if path.endswith("/query"):
            return 307, {"Location": "query2?q=x"}, {}
        return SOME

    crm, _ = made(server, answer)
    assert len(list(crm.rows("cases"))) == 1
    assert [a[1] for a in server.asked] == ["/services/data/v62.0/query", "/services/data/v62.0/query2"]
    assert server.asked[1][4] == server.asked[0][4]
    port = server.server_port
    for link in (
        "/again",
        f"https://127.0.0.1:{port}/",
        f"http://localhost:{port}/",
        "http://127.0.0.1:1/",
        "",
    ):
        crm, _ = made(server, lambda *_, link=link: (302, {"Location": link}, {}))
        with pytest.raises(rest_calls.Forbidden):
            list(crm.rows("cases"))
        assert len(server.asked) == (2 if link == "/again" else 1)
    hub, _ = made(server, lambda *_: (307, {"Location": "/again"}, {}), "hubspot")
    with pytest.raises(rest_calls.Forbidden, match="not followed"):
        list(hub.rows("tickets"))
    assert len(server.asked) == 1


def certificate(folder, name, **names):
    "Write a key and its self-signed certificate to one file."
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    try:
        listed = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        listed = x509.DNSName(name)
    made = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=2)).not_valid_after(now + timedelta(**names))
    made = made.add_extension(x509.SubjectAlternativeName([listed]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    text = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"{name}-{names['days']}.pem"
    path.write_bytes(key.private_bytes(*form) + text)
    return path


@pytest.mark.parametrize(
    "name, days, trusted",
    [("127.0.0.1", 1, True), ("127.0.0.1", 1, False), ("crm.example", 1, True), ("127.0.0.1", -1, True)],
)
def test_https_is_read_where_the_certificate_is_believed(tmp_path, monkeypatch, name, days, trusted):
    pytest.importorskip("cryptography")
    path = certificate(tmp_path, name, days=days)
    tls = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    tls.socket = context.wrap_socket(tls.socket, server_side=True)
    tls.handle_error = lambda *_: None
    tls.address = f"https://127.0.0.1:{tls.server_port}"
    threading.Thread(target=tls.serve_forever, args=(0.01,), daemon=True).start()
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
    try:
        crm, clock = made(tls, lambda *_: SOME)
        if trusted and name == "127.0.0.1" and days > 0:
            assert len(list(crm.rows("cases"))) == 1 and tls.asked[0][4] == f"Bearer {SECRET}-API_TOKEN"
            return
        with pytest.raises(rest_calls.Untrusted, match="certificate is not trusted") as caught:
            list(crm.rows("cases"))
        assert not tls.asked and not clock.slept and SECRET not in str(caught.value)
    finally:
        tls.shutdown()
        tls.server_close()


def test_more_rows_of_one_time_than_hubspot_shows_are_an_error_and_no_loss(server):
    def hubspot(path, query, text, headers):
        skip = int(json.loads(text).get("after", 0))
        page = [
            {"id": str(n), "properties": {"hs_lastmodifieddate": moment(1_700_000_000)}}
            for n in range(skip, skip + 5)
        ]
        return 200, {}, {"results": page, "paging": {"next": {"after": str(skip + 5)}}}

    hub, _ = made(server, hubspot, "hubspot")
    hub.file["resources"]["tickets"]["window"] = 10
    with pytest.raises(rest_calls.BadAnswer, match="more rows share one time of change than the 10"):
        list(hub.rows("tickets", ["id"]))
    assert {a[1] for a in server.asked} == {"/crm/objects/2026-03/tickets/search"}


def test_lists_of_zendesk(server):
    stored = [{"id": n, "name": f"N{n}", "email": None, "role": "agent", "updated_at": "t"} for n in range(7)]

    def answer(path, query, text, headers):
        begin, size = int(query.get("page[after]", 0)), int(query["page[size]"])
        link = f"{server.address}{path}?page[size]={size}&page[after]={begin + size}"
        paging = {"links": {"next": link}, "meta": {"has_more": begin + size < len(stored)}}
        return 200, {}, {path.rpartition("/")[2][:-5]: stored[begin : begin + size], **paging}

    desk, clock = made(server, answer, "zendesk", options={"size": 3})
    for name in ("users", "organizations"):
        assert [r["name"] for r in desk.rows(name)] == [f"N{n}" for n in range(7)]
    assert len(server.asked) == 6
    assert len(list(desk.rows("users", where={"role": "agent"}))) == 7
    assert server.asked[6][2] == {"page[size]": "3", "role": "agent"}
    for wrong in ({"where": {"email": "x"}}, {"since": datetime(2026, 1, 1)}):
        with pytest.raises(BadQuery):
            list(desk.rows("users", **wrong))


def test_the_export_of_zendesk_is_asked_ten_times_a_minute_and_two_minutes_back(server):
    def answer(path, query, text, headers):
        last = "cursor" in query
        link = f"{server.address}{path}?cursor=1"
        return 200, {}, {"tickets": [{"id": int(last)}], "after_url": link, "end_of_stream": last}

    desk, clock = made(server, answer, "zendesk")
    assert len(list(desk.rows("tickets", since="2026-01-01T00:02:00.1234567Z"))) == 2
    began = datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()
    assert server.asked[0][2] == {"start_time": str(int(began))} and sum(clock.slept) >= 6
    desk, clock = made(server, answer, "zendesk", options={"per_second": 0})
    assert len(list(desk.rows("tickets"))) == 2 and not clock.slept
    with pytest.raises(BadQuery, match="expected a time"):
        desk.rows("tickets", since="yesterday")


def test_a_daily_limit_of_salesforce_is_no_matter_of_permission(server):
    errors = [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
    crm, clock = made(server, lambda *_: (403, {}, errors))
    with pytest.raises(rest_calls.Throttled) as caught:
        list(crm.rows("cases"))
    assert caught.value.status == 403 and len(server.asked) == 1 and not clock.slept


@pytest.mark.parametrize("to", ["lake/tickets", "desk.duckdb#tickets"])
def test_an_incremental_copy_of_overlapping_rows_holds_each_once(server, tmp_path, to):
    pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    from crmeval.connect.federation import Catalogue
    from crmeval.connect.ingest import ingest

    stored = {n: (1_700_000_000 + n, f"S{n}") for n in range(12)}

    def answer(path, query, text, headers):
        content = json.loads(text)
        filters = [f for g in content.get("filterGroups", []) for f in g["filters"]]
        begin = int(filters[0]["value"]) / 1000 if filters else 0
        rows = sorted((t, n, s) for n, (t, s) in stored.items() if t >= begin)
        skip = int(content.get("after", 0))
        items = [
            {
                "id": str(n),
                "properties": {"hs_object_id": str(n), "subject": s, "hs_lastmodifieddate": moment(t)},
            }
            for t, n, s in rows[max(0, skip - 2) : skip + 5]  # two rows of the previous page are sent again
        ]
        more = {"paging": {"next": {"after": str(skip + 5)}}} if skip + 5 < len(rows) else {}
        return 200, {}, {"results": items, **more}

    server.asked, server.answer = [], answer
    source = {
        "kind": "hubspot",
        "address": server.address,
        "secrets": {"token": "API_TOKEN"},
        "per_second": 0,
    }
    copy = {"from": "crm.tickets", "to": to, "how": "incremental", "key": "id", "cursor": "modified"}
    catalogue = Catalogue.of({"sources": {"crm": source}, "copies": [copy]}, tmp_path)

    def copied_rows():
        if "#" in to:
            import duckdb

            with duckdb.connect(str(tmp_path / "desk.duckdb"), read_only=True) as db:
                return sorted(db.execute("SELECT id, subject FROM tickets").fetchall())
        from crmeval.connect.parquet_copy import copied

        return sorted((r["id"], r["subject"]) for r in copied(tmp_path / to).to_table().to_pylist())

    for change in ({}, {3: (1_700_000_100, "new"), 12: (1_700_000_050, "S12")}, {}):
        stored.update(change)
        calls = len(server.asked)
        assert not [done.error for done in ingest(catalogue) if done.error]
        assert copied_rows() == sorted((str(n), s) for n, (_, s) in stored.items())
    assert json.loads(server.asked[calls][3])["filterGroups"]  # the last run started at the cursor
