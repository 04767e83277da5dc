"""Passwords in addresses, endless bodies, archives larger than declared, requests for another host."""

import http.client
import json
import random
import threading
import time
import zipfile

import pytest
from pace import cpu_since

from crmeval.core.calls import address_fault, public_url, redact
from crmeval.core.keys import without_keys
from crmeval.runs.plan import RunPlan, plan_command

SECRET = "Tulpe77vase"
HOSTS = ["llm.example.com", "127.0.0.1:8000", "[::1]:9", "h:1", "10.0.0.1"]


def addresses(seed, n=300):
    "Yield invented addresses with a password whose characters end a part of the address early."
    rng = random.Random(seed)
    for _ in range(n):
        name = rng.choice(["ann", "", "a%40b", "svc-7", "4711"])
        around = ["".join(rng.choices("/#@?:%!&= ", k=rng.randint(0, 2))) for _ in range(2)]
        host, path = rng.choice(HOSTS), rng.choice(["", "/v1", "/a/b", "/v1/"])
        yield f"{rng.choice(['http', 'https'])}://{name}:{around[0]}{SECRET}{around[1]}@{host}{path}"


@pytest.mark.parametrize("seed", [21, 22])
def test_no_form_of_an_address_shows_its_password(seed):
    for url in addresses(seed):
        assert SECRET not in public_url(url), url
        if " " not in url:
            assert SECRET not in without_keys(f"asked {url} in vain"), url
            if not address_fault(url):  # any other address is refused before a call can fail
                assert SECRET not in redact(f"cannot reach {url}: refused"), url
            assert SECRET not in plan_command(RunPlan(models=[f"openai:m@{url}"], base_url=url)), url


@pytest.mark.parametrize(
    "name", ["code", "Secret", "client_secret", "subscription-key", "PWD", "access_token"]
)
@pytest.mark.parametrize("before", ["?", "?api-version=2024-10-21&"])
def test_a_secret_in_the_query_of_an_address_stands_in_no_command(name, before):
    url = f"https://h.example/v1{before}{name}={SECRET}&x=1"
    command = plan_command(RunPlan(models=["openai:m"], base_url=url))
    assert SECRET not in command and (before == "?" or "api-version=2024-10-21" in command), command


@pytest.mark.parametrize("seed", [23])
def test_an_address_that_can_be_read_in_two_ways_is_refused_before_anything_is_sent(seed, monkeypatch):
    from crmeval.systems.openai import OpenAIClient

    monkeypatch.setenv("OPENAI_API_KEY", "sk-invented-4242-4242")
    rejections = 0
    for url in addresses(seed):
        if address_fault(url):
            with pytest.raises(ValueError, match="base_url is") as refused:
                OpenAIClient("m", base_url=url)
            assert SECRET not in str(refused.value), url
            rejections += 1
        else:
            client = OpenAIClient("m", base_url=url)
            assert SECRET not in repr(client) + json.dumps(client.settings()), url
            assert any(client.base_url.split("://")[1].startswith(h) for h in HOSTS), url
    assert 50 < rejections < 300


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000/v1", "https://ann:s%40cret@h/v1", "https://h/v1?api-version=3", "http://[::1]"],
)
def test_an_address_in_order_is_taken(url):
    assert not address_fault(url)
    assert without_keys("see http://host:8000/v1 and ann@host") == "see http://host:8000/v1 and ann@host"


def test_no_manifest_and_no_report_holds_the_password_of_an_address(tmp_path):
    import endpoint

    from crmeval.cli.app import main

    httpd = endpoint.start()
    url = f"http://ann:{SECRET}@127.0.0.1:{httpd.server_port}/v1"
    words = ["--use-case", "service_email_summary", "--limit", "1", "--retries", "0", "--timeout", "2"]
    main(["run", "--model", "openai:m", "--base-url", url, *words, "--out", str(tmp_path / "run"), "--quiet"])
    endpoint.stop(httpd)
    files = [p for p in (tmp_path / "run").rglob("*") if p.is_file()]
    assert {"manifest.json", "report.html"} <= {p.name for p in files}
    assert not [p.name for p in files if SECRET.encode() in p.read_bytes()]


def nested(rng, depth):
    value = "end"
    for _ in range(depth):
        value = {"a": value, "b": 1} if rng.random() < 0.5 else [1, value]
    return value


def test_a_body_that_is_nested_without_end_is_refused_where_it_is_read():
    from crmeval.layer.chat_forms import DEEPEST, Refused, read_json

    rng = random.Random(31)
    for depth in (1, 20, DEEPEST - 1, DEEPEST + 1, 300, 900, 40_000):
        raw = b""
        if depth <= 900:
            raw = json.dumps({"within": nested(rng, depth)}).encode()
        else:
            raw = b'{"within":' + b"[" * depth + b"]" * depth + b"}"
        if depth < DEEPEST:
            assert read_json(raw)
        else:
            with pytest.raises(Refused, match="nested too deeply"):
                read_json(raw)
    assert len(read_json(json.dumps({"flat": [[i] for i in range(10_000)]}).encode())["flat"]) == 10_000


@pytest.mark.parametrize("sign", ["{{", "{{ a.b ", "{{a.b|", "{{ }", "}}", "{%", "{{{"])
def test_a_template_of_half_signs_is_refused_at_once(sign):
    from crmeval.layer.templates import read_template

    started = time.process_time()
    with pytest.raises(ValueError):
        read_template(sign * 40_000)
    assert cpu_since(started) < 5


def test_a_workbook_that_unpacks_to_more_than_a_machine_has_is_refused(tmp_path):
    from crmeval.tasks.tables import workbook_rows

    path = tmp_path / "small.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part in ("xl/worksheets/sheet1.xml", "xl/media/picture.bin"):
            with archive.open(part, "w") as f:
                for _ in range(80):
                    f.write(bytes(8 << 20))
    started = time.process_time()
    with pytest.raises(ValueError, match=r"small.xlsx unpacks to 1.3 GB, expected 1.1 GB at most"):
        workbook_rows(path)
    assert cpu_since(started) < 1


def test_a_report_is_served_under_this_machine_s_own_address_alone(tmp_path):
    from crmeval.cli.shelf import make_server

    (tmp_path / "report.html").write_text("a report", encoding="utf-8")
    with make_server(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def asked(host, method="GET"):
            line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            line.putrequest(method, "/report.html", skip_host=True)
            for one in host:
                line.putheader("Host", one)
            line.endheaders()
            answer = line.getresponse()
            return answer.status, answer.read()

        port = server.server_port
        for own in (
            f"127.0.0.1:{port}",
            f"localhost:{port}",
            "localhost",
            f"[::1]:{port}",
            f"LOCALHOST:{port}",
        ):
            assert asked([own])[0] == 200, own
        for other in (
            "rebound.example",
            f"rebound.example:{port}",
            "127.0.0.1.rebound.example",
            "",
            "localhost.",
        ):
            status, body = asked([other])
            assert status == 403 and b"a report" not in body, other
        assert asked([])[0] == 403 and asked(["rebound.example"], "HEAD")[0] == 403
        server.shutdown()


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_a_file_of_keys_that_is_no_file_is_told_at_once(kind, tmp_path):
    import os

    from crmeval.layer.callers import read_keys

    path = tmp_path / "keys.txt"
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(ValueError, match="cannot be read: it is not a file"):
        read_keys(path)


def test_a_look_ahead_of_measuring_names_no_password(monkeypatch, capsys):
    import endpoint

    from crmeval.cli.app import main

    monkeypatch.setenv("OPENAI_API_KEY", "sk-invented-4242-4242")
    httpd = endpoint.start()
    main(["speed", "--model", f"openai:m@http://ann:{SECRET}@127.0.0.1:{httpd.server_port}/v1", "--dry-run"])
    endpoint.stop(httpd)
    printed = capsys.readouterr()
    assert "will send" in printed.out + printed.err and SECRET not in printed.out + printed.err
