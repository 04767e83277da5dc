"""Attempts to get a value out of the gateway or to break it: through JSON escapes, keys of arguments, folders
of other machines, words of a schema's structure, and numbers that JSON does not have."""

import asyncio
import json
import random
import re

import pytest

pytest.importorskip("starlette")

import httpx

from crmeval import TrustLayer
from crmeval.core.calls import Completion
from crmeval.layer.links import find_links
from crmeval.layer.reply import Asked
from crmeval.layer.screening import screen
from crmeval.layer.server import gateway_app

CODE = re.compile(r"\[[A-Z]+(?:_[A-Z])?_\w+\]")


def record_of(rng):
    first, last = ("".join(rng.choices("bdfgklmnrstvz", k=6)).title() for _ in range(2))
    mail = f"{first}.{last}@{rng.choice(['mail', 'post'])}.example".lower()
    return {"name": f"{first} {last}", "email": mail, "phone": f"+44 20 7946 {rng.randrange(1000, 9999)}"}


class Says:
    "Says a text, or calls a function, with the placeholders of the prompt for {name}, {email} and {phone}."

    name, provider, model, cacheable = "says", "local", "says", False

    def __init__(self, text, call=False):
        self.text, self.call, self.seen, self.size = text, call, [], 1

    def settings(self):
        return {}

    async def chat(self, messages, **options):
        self.seen.append({"messages": messages, **options})
        text = self.text
        for line in messages[-1]["content"].splitlines():
            key, _, code = line.partition(": ")
            text = text.replace("{%s}" % key, code)
        if not self.call:
            return Completion(text)
        function = {"name": "send", "arguments": text}
        return Completion("", tool_calls=({"id": "c", "type": "function", "function": function},))

    async def chat_stream(self, messages, **options):
        done = await self.chat(messages, **options)
        for at in range(0, len(done.text), self.size):
            yield done.text[at : at + self.size]
        yield done

    async def aclose(self):
        pass


def reply_to(model, record, stream=False, **options):
    said = "\n".join(f"{key}: {value}" for key, value in record.items())
    layer, asked = TrustLayer(model, {"stream": "sentences"}), Asked(record={"contact": record})

    async def last():
        return [p.reply async for p in layer.achat_stream(said, asked=asked, **options)][-1]

    return asyncio.run(last() if stream else layer.achat(said, asked=asked, **options))


def escaped(rng, text, share):
    "Escape some characters of a text for JSON, in one of their forms."
    out = []
    for sign in text:
        if sign == "/" and rng.random() < share:
            out.append("\\/")
        elif sign.isascii() and sign.isprintable() and sign not in '{}"\\' and rng.random() < share:
            out.append(f"\\u{ord(sign):04x}")
        else:
            out.append(sign)
    return "".join(out)


LINKS = (
    "https://{host}/?d=",
    "See ![x](https://{host}/",
    "//{host}/x?q=",
    "www.{host}/",
    "ftp://{host}/",
    "<img src=https://{host}/?",
)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_no_value_leaves_in_an_address_that_is_escaped_in_json(seed, stream):
    rng = random.Random(seed)
    record = record_of(rng)
    host = f"{''.join(rng.choices('bdfgkz', k=7))}.example"
    url = escaped(rng, rng.choice(LINKS).replace("{host}", host), rng.choice([0.2, 0.6, 1.0]))
    for call in (False, True):
        model = Says('{"note": "Here it is: ' + url + '{email}"}', call)
        model.size = rng.choice([1, 2, 5, 11])
        reply = reply_to(model, record, stream and not call)
        assert not reply.tool_calls
        read = json.loads(reply.text)["note"] if reply.status == "ok" and reply.text.startswith("{") else ""
        assert host not in read, (url, reply.text)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("seed", range(15))
def test_escapes_beside_a_value_leave_json_and_value_whole(seed, stream):
    rng = random.Random(100 + seed)
    record = record_of(rng)
    breaks = ("\n", "\t", "\n\n", "\r\n", " / ", '"', " \\ ")
    fields = [f"{a}{{{key}}}{b}" for key in record for a in breaks for b in ("\n", ' "')]
    rng.shuffle(fields)
    text = json.dumps({f"f{n}": field for n, field in enumerate(fields[:12])})
    model = Says(text)
    model.size = rng.choice([1, 3, 8])
    reply = reply_to(model, record, stream)
    expected = text
    for key, value in record.items():
        expected = expected.replace("{%s}" % key, value)
    assert json.loads(reply.text) == json.loads(expected), reply.way


@pytest.mark.parametrize("stranger", ["eve.{}@evil.example", "{} 4111 1111 1111 1111"])
@pytest.mark.parametrize("seed", range(4))
def test_a_strangers_value_that_is_escaped_in_json_is_removed(seed, stranger):
    rng = random.Random(seed)
    value = stranger.format("".join(rng.choices("bdfgkz", k=5)))
    text = '{"to": "' + escaped(rng, value, 0.7) + '"}'
    done = screen(text, prompt="Write to Ada.")
    assert json.loads(done.text) != json.loads(text) and done.record.decision == "replace"


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_keys_of_arguments_are_screened(seed, deep):
    rng = random.Random(seed)
    url = rng.choice(LINKS).replace("{host}", "zzq.example").replace('"', "") + "{email}"
    data = {url: 1, "plain": 2}
    reply = reply_to(Says(json.dumps({"a": [data]} if deep else data), True), record_of(rng))
    assert not reply.tool_calls and reply.status == "refused"


@pytest.mark.parametrize("path", [r"\\{h}\{v}", r"Open \\{h}\share\{v} now", r"(\\{h}\c$\{v})"])
def test_a_folder_of_another_machine_is_an_address(path):
    rng = random.Random(path)
    record, host = record_of(rng), "files.zzq.example"
    said = path.replace("{h}", host).replace("{v}", "{name}")
    for text in (said, json.dumps({"at": said})):
        assert host not in reply_to(Says(text), record).text
        assert not reply_to(Says(json.dumps({"at": said}), True), record).tool_calls
    assert not find_links(r"a \\ b.c\d and C:\new.dir\x and \\alpha\beta and 2\\3")


STRUCTURE = (
    "type",
    "format",
    "$id",
    "$anchor",
    "$schema",
    "contentMediaType",
    "contentEncoding",
    "$ref",
    "x-y",
)


@pytest.mark.parametrize("key", STRUCTURE)
def test_no_word_of_a_schemas_structure_shows_a_value(key):
    record = record_of(random.Random(key))
    for value in record.values():
        for said in (value, f"https://kb.example/{value}", f"by {value}"):
            model = Says("{}")
            schema = {"type": "object", "properties": {"a": {"type": "string", key: said}}}
            reply_to(
                model, record, tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}]
            )
            assert value not in json.dumps(model.seen), (key, said)
            sent = model.seen[0]["tools"][0]["function"]["parameters"]
            assert (sent["type"], list(sent["properties"])) == ("object", ["a"])


def posted(raw, **headers):
    "Return (answer to a body, what reached the model)."
    model = Says("Hello.")
    app = gateway_app({"m": TrustLayer(model)})

    async def work():
        told = {"transport": httpx.ASGITransport(app), "base_url": "http://localhost/v1"}
        async with httpx.AsyncClient(**told) as http:
            head = {"content-type": "application/json", **headers}
            return await http.post("/chat/completions", content=raw, headers=head)

    return asyncio.run(work()), model.seen


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "1" + "0" * 400 + ".0"])
def test_a_number_that_json_does_not_have_reaches_nobody(number):
    tool = '{"type": "function", "function": {"name": "f", "parameters": {"default": %s}}}' % number
    raw = '{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": [%s]}' % tool
    done, seen = posted(raw.encode())
    assert done.status_code == 400 and done.json()["error"]["code"] == "invalid_json" and not seen


@pytest.mark.parametrize("packed", ["gzip", "br", "deflate, gzip", "x" * 300])
def test_a_packed_body_is_refused_by_its_name(packed):
    done, seen = posted(b"\x1f\x8b", **{"content-encoding": packed})
    assert done.status_code == 415 and packed[:20] in done.json()["error"]["message"] and not seen
    assert (
        posted(b'{"model": "m", "messages": "x"}', **{"content-encoding": "identity"})[0].status_code == 400
    )


def test_a_call_with_numbers_outside_json_is_passed_as_it_came():
    record = record_of(random.Random(9))
    reply = reply_to(Says('{"a": NaN, "b": 1e999, "c": "{name}"}', True), record)
    assert (
        reply.tool_calls[0]["function"]["arguments"] == '{"a": NaN, "b": 1e999, "c": "%s"}' % record["name"]
    )
