"""Schemas of a request: a model that is held to the schema can write every placeholder, and what does not fit
the application's own schema is reported.

The stand-in obeys the schema that it receives, as constrained decoding does: it writes a placeholder only if
the schema admits it, and invents a value otherwise.
"""

import asyncio
import json
import random
import re
import time

import jsonschema
import pytest
from pace import cpu_since

from crmeval import TrustLayer
from crmeval.core.calls import Completion
from crmeval.layer.reply import Asked

CODE = re.compile(r"\[[A-Z]+(?:_[A-Z])?_\w+\]")
TEXT = {"type": "string"}
INVENTED = "invented"


def record_of(rng):
    "Return a record that nobody listed, as (kind, value) by field."
    first, last = ("".join(rng.choices("bdfgklmnrstvz", k=6)).title() for _ in range(2))
    return {
        "name": f"{first} {last}",
        "email": f"{first}.{last}{rng.randrange(99)}@{rng.choice(['mail', 'post'])}.example".lower(),
        "phone": f"+44 20 7946 {rng.randrange(1000, 9999)}",
        "iban": "DE89 3704 0044 0532 0130 00",
    }


LEAVES = {  # field -> schemas that its value fits
    "name": [
        {**TEXT, "pattern": r"^[\w '-]+$"},
        {**TEXT, "minLength": 3, "maxLength": 13},
        {**TEXT, "pattern": r"^[A-Z][a-z]+ [A-Z][a-z]+$", "description": "First and last name."},
        {"type": ["string", "null"], "minLength": 5, "maxLength": 14},
    ],
    "email": [
        {**TEXT, "format": "email"},
        {**TEXT, "pattern": r"^\S+@\S+\.\w+$", "maxLength": 60},
        {"allOf": [TEXT, {"format": "email"}]},
        {"anyOf": [{**TEXT, "format": "email"}, {"type": "null"}]},
        {"oneOf": [{**TEXT, "format": "email"}, {**TEXT, "format": "date"}]},
    ],
    "phone": [
        {**TEXT, "pattern": r"^\+[\d ]{8,20}$"},
        {**TEXT, "format": "phone", "pattern": r"^\+"},
        {**TEXT, "minLength": 14, "maxLength": 18},
    ],
    "iban": [{**TEXT, "pattern": "^[A-Z]{2}[0-9 ]+$"}, {**TEXT, "minLength": 27, "maxLength": 27}],
}


def wrapped(rng, leaf, name, known):
    "Return (schema, function that wraps a value) around a leaf."
    way = rng.randrange(5)
    if way == 0:
        return {"type": "array", "items": leaf, "minItems": 1}, lambda v: [v]
    if way == 1:
        known[name] = leaf
        return {"$ref": f"#/$defs/{name}"}, lambda v: v
    if way == 2:
        inner = {
            "type": "object",
            "properties": {"is": leaf},
            "required": ["is"],
            "additionalProperties": False,
        }
        return inner, lambda v: {"is": v}
    if way == 3:
        return {"type": "object", "additionalProperties": leaf, "minProperties": 1}, lambda v: {"is": v}
    return leaf, lambda v: v


def schema_for(rng):
    "Return (schema of a whole record, function: values by field -> data)."
    known, parts, shapes = {}, {}, {}
    for name, leaves in LEAVES.items():
        parts[name], shapes[name] = wrapped(rng, rng.choice(leaves), name, known)
    whole = {"type": "object", "properties": parts, "required": [*parts], "additionalProperties": False}
    return {**whole, "$defs": known} if known else whole, lambda vs: {n: shapes[n](v) for n, v in vs.items()}


def wrong_in(schema, data):
    "Return the fields that the schema does not admit."
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    return {name for error in validator.iter_errors(data) for name in [*error.absolute_path, *data][:1]}


class Held:
    "A model that writes what the schema admits; `shape` knows where the values go."

    name, provider, model, cacheable = "held", "local", "held", False

    def __init__(self, shape):
        self.shape, self.seen = shape, {}

    def settings(self):
        return {}

    def fields(self, messages):
        "Return the placeholders of the message's lines by field."
        lines = (line.partition(": ") for line in messages[-1]["content"].splitlines())
        return {name: value for name, _, value in lines if name in LEAVES}

    async def chat(self, messages, **options):
        self.seen = {"messages": messages, **options}
        form = options.get("response_format")
        tool = None if form else options["tools"][0]["function"]
        schema = form["json_schema"]["schema"] if form else tool["parameters"]
        values = self.fields(messages)
        values.update(dict.fromkeys(wrong_in(schema, self.shape(values)) & set(values), INVENTED))
        made = json.dumps(self.shape(values))
        if form:
            return Completion(made)
        call = {"id": "c", "type": "function", "function": {"name": tool["name"], "arguments": made}}
        return Completion("", tool_calls=(call,))

    async def chat_stream(self, messages, **options):
        done = await self.chat(messages, **options)
        for at in range(0, len(done.text), 7):
            yield done.text[at : at + 7]
        yield done

    async def aclose(self):
        pass


def asked_with(model, record, policy=None, said=None, stream=False, **options):
    "Return the reply to a message with the record's fields in lines."
    said = said or "\n".join(f"{name}: {value}" for name, value in record.items())
    layer, asked = TrustLayer(model, policy), Asked(record={"contact": record})

    async def last():
        reply = None
        async for piece in layer.achat_stream(said, asked=asked, **options):
            reply = piece.reply or reply
        return reply

    return asyncio.run(last() if stream else layer.achat(said, asked=asked, **options))


def form_of(schema, strict=True):
    return {"type": "json_schema", "json_schema": {"name": "row", "schema": schema, "strict": strict}}


def tools_of(schema, name="find"):
    return [{"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_a_model_that_is_held_to_a_schema_writes_every_value(seed, stream):
    rng = random.Random(seed)
    record = record_of(rng)
    schema, shape = schema_for(rng)
    policy = {"stream": rng.choice(["hold", "sentences"])}
    for more in ({"response_format": form_of(schema)}, {"tools": tools_of(schema)}):
        model = Held(shape)
        reply = asked_with(model, record, policy, stream=stream, **more)
        given = reply.tool_calls[0]["function"]["arguments"] if reply.tool_calls else reply.text
        assert json.loads(given) == shape(record), (seed, model.seen)
        assert reply.way.of("schema").detail["status"] == "fits", reply.way.of("schema")
        left = json.dumps(model.seen, ensure_ascii=False)
        assert not [v for v in record.values() if v in left]


@pytest.mark.parametrize("seed", range(10))
def test_the_schema_stays_as_it_is_where_no_value_may_stand(seed):
    rng = random.Random(seed)
    kept = {
        "type": "object",
        "properties": {
            "grade": {"enum": ["gold", "silver"]},
            "code": {**TEXT, "pattern": rng.choice([r"^[A-Z]{2}$", r"^#\d{2}$", r"^(yes|no)$"])},
            "size": {**TEXT, "maxLength": 2},
            "day": {**TEXT, "format": rng.choice(["date", "date-time", "ipv4"])},
            "count": {"type": "integer", "minimum": 0},
            "not_a_mail": {**TEXT, "not": {"format": "email"}},
        },
        "required": ["grade", "code"],
        "additionalProperties": False,
    }
    model = Held(lambda values: values)
    asked_with(model, record_of(rng), response_format=form_of(kept))
    assert model.seen["response_format"]["json_schema"]["schema"] == kept


def test_without_masked_values_a_schema_stays_as_it_is():
    kept = {"type": "object", "properties": {"mail": {**TEXT, "format": "email"}}}
    model = Held(lambda values: values)
    asked_with(model, {}, said="Please summarise.", response_format=form_of(kept))
    assert model.seen["response_format"]["json_schema"]["schema"] == kept


class Says(Held):
    "A model that says one text, with the placeholder of a kind inserted."

    def __init__(self, text, calls=()):
        self.text, self.calls, self.seen = text, calls, {}

    async def chat(self, messages, **options):
        self.seen = {"messages": messages, **options}
        codes = {c[1:].split("_")[0]: c for c in CODE.findall(json.dumps(messages))}
        told = re.sub(r"<(\w+)>", lambda m: codes.get(m[1], m[0]), self.text)
        return Completion(told, tool_calls=tuple(self.calls))


BORN = {"type": "object", "properties": {"born": {**TEXT, "format": "date"}}, "required": ["born"]}
BIRTH = "My name is Ada Brook, born on 3 May 1984."


@pytest.mark.parametrize(
    "policy, status", [(None, "ok"), ({"screening": {"schema": "refuse"}}, "refused")], ids=["flag", "refuse"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_does_not_fit_is_reported_and_withheld_if_the_policy_says_so(policy, status, stream):
    model = Says('{"born": "<BORN>"}')
    options = {"policy": policy, "said": BIRTH, "stream": stream, "response_format": form_of(BORN)}
    reply = asked_with(model, {"name": "Ada Brook", "birthdate": "1984-05-03"}, **options)
    assert "format" not in model.seen["response_format"]["json_schema"]["schema"]["properties"]["born"]
    done = reply.way.of("schema")
    assert (done.detail["status"], reply.status) == ("differs", status)
    assert "format at depth 1" in done.reason and "1984" not in done.reason
    assert ("3 May 1984" in reply.text) is (status == "ok")


@pytest.mark.parametrize("said", ['{"born": 3}', "{}", "The third of May.", '{"born": NaN}', "[" * 5000])
def test_an_answer_of_any_form_is_checked(said):
    reply = asked_with(Says(said), {}, said="Hello.", response_format=form_of(BORN))
    assert reply.way.of("schema").detail["status"] == "differs" and reply.way.decision == "flag"
    assert reply.way.of("schema").reason


def test_a_function_that_was_not_offered_is_reported():
    call = {"id": "c", "type": "function", "function": {"name": "drop_all", "arguments": "{}"}}
    reply = asked_with(Says("", [call]), {}, said="Hello.", tools=tools_of(BORN))
    assert "not offered" in reply.way.of("schema").reason


TREE = {f"d{n}": {"anyOf": 3 * [{"$ref": f"#/$defs/d{n + 1}"}]} for n in range(25)} | {
    "d25": {"type": "null"}
}
HARD = {
    "nested repetition": {"properties": {"born": {"pattern": r"^(\w+\s?)+$"}}},
    "overlapping choices": {"patternProperties": {r"^(a|a|b)*c$": {"type": "null"}}},
    "references": {"$ref": "#/$defs/d0", "$defs": TREE},
    "a circle": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    "a foreign address": {"$ref": "https://127.0.0.1:9/schema"},
    "a foreign dialect": {"$schema": "https://127.0.0.1:9/dialect", "properties": {"born": {"type": "null"}}},
    "no schema": {"type": {"a": 1}, "properties": []},
    "a long repetition": {"properties": {"born": {"pattern": "^(a{1,900}){1,900}$"}}},
    "strange types": {"required": "born", "enum": 3, "pattern": 3, "minLength": "x", "format": []},
}


@pytest.mark.parametrize("kind", HARD)
def test_no_schema_holds_the_gateway_or_reaches_out(kind):
    said = json.dumps({"born": "a" * 4000 + "!", "a" * 200 + "!": 1, "mail": "<EMAIL>"})
    record = record_of(random.Random(1))
    began = time.process_time()
    reply = asked_with(Says(said), record, response_format=form_of(HARD[kind]), tools=tools_of(HARD[kind]))
    assert cpu_since(began) < 20
    assert reply.status == "ok" and reply.way.of("schema").detail["status"] in (
        "fits",
        "differs",
        "unchecked",
    )


WHERE = {  # places of a schema that may hold a personal value
    "title": lambda v: {**TEXT, "title": f"Mail of {v}"},
    "description": lambda v: {**TEXT, "description": f"As {v} wrote"},
    "default": lambda v: {**TEXT, "default": v},
    "examples": lambda v: {**TEXT, "examples": [{"deep": [v]}]},
    "enum": lambda v: {"enum": [v, "other"]},
    "const": lambda v: {"const": v},
    "pattern": lambda v: {**TEXT, "pattern": f"^{re.escape(v)}$"},
    "patternProperties": lambda v: {"patternProperties": {f"^{re.escape(v)}$": TEXT}},
    "properties": lambda v: {"properties": {v: TEXT}, "required": [v]},
    "$defs": lambda v: {"$defs": {v: {"const": v}}, "$ref": f"#/$defs/{v}"},
    "$comment": lambda v: {**TEXT, "$comment": v},
    "dependentRequired": lambda v: {"dependentRequired": {v: ["a"], "a": [v]}},
    "x-note": lambda v: {**TEXT, "x-note": {"by": v}},
}


@pytest.mark.parametrize("place", WHERE)
def test_no_place_of_a_schema_shows_a_value(place):
    record = record_of(random.Random(place))
    for value in record.values():
        held = {"type": "object", "properties": {"a": WHERE[place](value)}}
        model = Says("{}")
        asked_with(model, record, response_format=form_of(held), tools=tools_of(held))
        left = json.dumps(model.seen, ensure_ascii=False)
        shown = [v for v in (value, re.escape(value)) if v in left or json.dumps(v)[1:-1] in left]
        assert not shown, (place, left)


def test_a_number_in_a_schema_is_masked_like_a_number_in_a_message():
    record = {"name": "Ada Brook", "phone": "+1 415 555 0134"}
    held = {"type": "integer", "enum": [14155550134, 7], "examples": [{"is": 14155550134}]}
    model = Says('"<PHONE>"')
    reply = asked_with(model, record, said="Call 14155550134.", response_format=form_of(held))
    assert "5550134" not in json.dumps(model.seen)
    assert reply.text.strip('"') == "14155550134"


def slow_answers():
    rows = [{"a": n} for n in range(9000)]
    texts = ["b" * 2000 + "a"] * 400
    yield "items compared in pairs", rows, {"uniqueItems": True}
    yield (
        "items compared with a long list",
        rows,
        {"items": {"not": {"enum": [{"b": n} for n in range(9000)]}}},
    )
    yield "many texts with a long pattern", texts, {"items": {"pattern": "^(b{1,50}){1,15}a?b*a$"}}
    yield (
        "many keys",
        dict.fromkeys(map(str, range(9000)), 1),
        {"patternProperties": {f"^x{n}$": {} for n in range(300)}},
    )
    yield "choices in choices", rows, {"items": {"anyOf": [{"required": [f"k{n}"]} for n in range(300)]}}


@pytest.mark.parametrize(
    "data, schema", [case[1:] for case in slow_answers()], ids=[c[0] for c in slow_answers()]
)
def test_no_answer_holds_the_gateway(data, schema):
    began = time.process_time()
    reply = asked_with(Says(json.dumps(data)), {}, said="Hello.", response_format=form_of(schema))
    assert cpu_since(began) < 20
    assert reply.way.of("schema").detail["status"] in ("fits", "differs", "unchecked")


def test_no_patterns_of_a_request_hold_the_gateway():
    fields = {f"f{n}": {**TEXT, "pattern": f"^(?:[\\w@. ]?){{{600 + n}}}$"} for n in range(120)}
    record = {f"mail{n}": f"somebody.{n}@mail{n}.example" for n in range(40)}
    began = time.process_time()
    model = Says("{}")
    asked_with(model, record, response_format=form_of({"type": "object", "properties": fields}))
    assert cpu_since(began) < 20
    assert len(model.seen["response_format"]["json_schema"]["schema"]["properties"]) == 120


@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
@pytest.mark.parametrize("said, status", [('{"phone": "<PHONE>"}', "fits"), ('{"phone": 3}', "differs")])
def test_the_gateway_reports_the_check_in_a_field_and_a_header(path, said, status):
    pytest.importorskip("starlette")
    import httpx

    from crmeval.layer.server import gateway_app

    model = Says(said)
    app = gateway_app({"m": TrustLayer(model, {"stream": "sentences"})})
    phone = {"type": "object", "properties": {"phone": {**TEXT, "pattern": r"^\+[\d ]+$"}}}
    text = "My name is Ada Brook, call me at +1 415 555 0134."
    if path == "/responses":
        form = {"type": "json_schema", "name": "row", "schema": phone, "strict": True}
        body = {"model": "m", "input": text, "text": {"format": form}}
    else:
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": text}],
            "response_format": form_of(phone),
        }

    async def work():
        told = {"transport": httpx.ASGITransport(app), "base_url": "http://localhost/v1"}
        async with httpx.AsyncClient(**told) as http:
            return [await http.post(path, json={**body, "stream": stream}) for stream in (False, True)]

    whole, streamed = asyncio.run(work())
    assert whole.headers["x-crmeval-schema"] == status == whole.json()["crmeval"]["schema"]["status"]
    assert f'"schema":{{"status":"{status}"' in streamed.text
    assert ("+1 415 555 0134" in whole.text) is (status == "fits")


def test_no_value_of_a_schema_stays_behind_in_a_memory():
    import gc

    name = "Zoltanka" + "rovsky"
    schema = json.loads(
        '{"properties": {"a": {"pattern": "^%s$"}}, "patternProperties": {"^%sx": {}}}' % (name, name)
    )
    tools, form = tools_of(schema), form_of(schema)
    asked_with(Says('{"a": "b", "c": 1}'), {"name": name}, response_format=form, tools=tools)
    del schema, tools, form
    gc.collect()
    texts = [o for o in gc.get_objects() if isinstance(o, (dict, list, tuple, set))]
    kept = [x for o in texts for x in o if isinstance(x, str) and name in x and x != name]
    assert not kept and not [key for key in re._cache if name in str(key)]


@pytest.mark.parametrize("gap", [r"\s", r"\s+", "[ _-]", r"\W*", r"[\s_]", r"\ "])
def test_a_name_in_a_pattern_is_found_whatever_parts_its_words(gap):
    record = record_of(random.Random(gap))
    pattern = f"^{record['name'].replace(' ', gap)}$"
    model = Says("{}")
    schema = {"properties": {"a": {**TEXT, "pattern": pattern}}, "patternProperties": {pattern: TEXT}}
    asked_with(model, record, response_format=form_of(schema))
    assert not [part for part in record["name"].split() if part in json.dumps(model.seen)]
