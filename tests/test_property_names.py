"Personal values as property names in a request: masked everywhere they occur, and restored in the reply."

import asyncio
import json
import random

import pytest

from crmeval import TrustLayer
from crmeval.core.calls import Completion
from crmeval.layer.reply import Asked

PLAIN = {"type": "object", "properties": {"order_id": {"type": "string", "format": "email"}}}


class Caller:
    "A client that calls the first tool with each of its properties and returns the same as JSON."

    name, provider, model, cacheable = "caller", "local", "caller", False

    def settings(self):
        return {}

    async def chat(self, messages, **options):
        self.seen = {"messages": messages, **options}
        tools = options.get("tools") or [{"function": {"name": "x", "parameters": {}}}]
        keys = tools[0]["function"]["parameters"].get("properties", {})
        data = json.dumps({key: 1 for key in keys})
        call = {"id": "c", "type": "function", "function": {"name": "find", "arguments": data}}
        return Completion(data, tool_calls=(call,))

    async def aclose(self):
        pass


def values(rng):
    "Return a record, and forms of its values that may be used as property names."
    first, last = ("".join(rng.choices("bdfgklmnrstvz", k=6)).title() for _ in range(2))
    mail = f"{first}.{last}@{rng.choice(['mail', 'post'])}.example".lower()
    phone = f"+44 20 7946 {rng.randrange(1000, 9999)}"
    record = {"contact": {"name": f"{first} {last}", "email": mail, "phone": phone}}
    return record, [mail, phone, f"{first} {last}", f"{first}_{last}", f"for {mail}"]


def schema_of(name):
    return {
        "type": "object",
        "properties": {name: {"type": "string"}, "again": {"$ref": f"#/$defs/{name}"}},
        "$defs": {name: {"type": "number"}},
        "required": [name, "again"],
        "dependentRequired": {name: ["again"], "again": [name]},
        "patternProperties": {f"^{name}$": {"default": {name: name}}},
    }


def asked_with(schema, record, message="Hello."):
    client = Caller()
    tools = [{"type": "function", "function": {"name": "find", "parameters": schema}}]
    form = {"type": "json_schema", "json_schema": {"name": "row", "schema": schema}}
    reply = asyncio.run(
        TrustLayer(client).achat(message, asked=Asked(record=record), tools=tools, response_format=form)
    )
    return client.seen, reply


@pytest.mark.parametrize("seed", range(12))
def test_no_name_of_a_property_leaves_in_clear_and_all_come_back(seed):
    record, names = values(random.Random(seed))
    for name in names:
        seen, reply = asked_with(schema_of(name), record)
        left = json.dumps(seen, ensure_ascii=False)
        for value in [*record["contact"].values(), *record["contact"]["name"].split(), name]:
            assert value not in left, (value, left)
        assert json.loads(reply.tool_calls[0]["function"]["arguments"]) == {name: 1, "again": 1}
        assert json.loads(reply.text) == {name: 1, "again": 1}


@pytest.mark.parametrize("seed", range(6))
def test_a_masked_name_is_one_name_everywhere(seed):
    record, names = values(random.Random(100 + seed))
    for name in names:
        sent = asked_with(schema_of(name), record)[0]["tools"][0]["function"]["parameters"]
        (masked,) = set(sent["properties"]) - {"again"}
        assert set(sent["$defs"]) == {masked} and sent["required"] == [masked, "again"]
        assert sent["dependentRequired"] == {masked: ["again"], "again": [masked]}
        assert sent["properties"]["again"] == {"$ref": f"#/$defs/{masked}"}


def test_an_address_that_no_record_knows_is_masked_as_a_name_of_a_property_too():
    seen, reply = asked_with(schema_of("stranger.k@firm.example"), None)
    assert "stranger.k" not in json.dumps(seen)
    assert "stranger.k@firm.example" in json.loads(reply.text)


def test_structure_stays_as_it_is():
    names = ["order_id", "First Name", "Kundennummer", "客户", "type", "x-y.z", "$filter", "données", ""]
    schema = PLAIN | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://crm.example/schemas/order",
        "properties": {n: {"type": ["string", "null"], "pattern": r"^\d{3}-[A-Z]+$"} for n in names},
        "required": names,
        "additionalProperties": False,
    }
    seen, _ = asked_with(schema, {"contact": {"name": "Order Type"}}, "Order Type asks.")
    assert seen["tools"][0]["function"]["parameters"] == schema
    assert seen["response_format"]["json_schema"]["schema"] == schema
    assert "Order Type" not in seen["messages"][-1]["content"]
