"""Personal values in names of functions and arguments, and in ids of calls: none reaches the model, names are
legal for every provider, and calls come back with their own names, streamed or not."""

import asyncio
import json
import random
import re

import pytest

from crmeval import TrustLayer
from crmeval.core.calls import Completion
from crmeval.layer.masking import MaskingSession
from crmeval.layer.reply import Asked

LEGAL = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Caller:
    "Calls every offered function, with every argument set to 1."

    name, provider, model, cacheable = "caller", "local", "caller", False

    def __init__(self):
        self.seen = []

    def settings(self):
        return {}

    async def chat(self, messages, **options):
        self.seen.append({"messages": messages, **options})
        calls = []
        for n, tool in enumerate(t["function"] for t in options.get("tools", ())):
            made = json.dumps({key: 1 for key in tool["parameters"]["properties"]})
            function = {"name": tool["name"], "arguments": made}
            calls.append({"id": f"c{n}", "type": "function", "function": function})
        return Completion(messages[-1]["content"], tool_calls=tuple(calls))

    async def chat_stream(self, messages, **options):
        done = await self.chat(messages, **options)
        for letter in done.text:
            yield letter
        yield done

    async def aclose(self):
        pass


def person_of(rng):
    "Return (record, names of functions that contain one of its values)."
    first, last = ("".join(rng.choices("bdfgklmnrstvz", k=6)) for _ in range(2))
    phone = str(rng.randrange(20_7946_1000, 20_7946_9999))
    record = {"name": f"{first} {last}".title(), "phone": f"+44 {phone[:2]} {phone[2:6]} {phone[6:]}"}
    named = [f"ask_{first}_{last}", f"mail{first.title()}{last.title()}", f"{last.upper()}-report"]
    named += [f"call_44{phone}", f"get{last.title()}2", f"{first}_{last}_" + "x" * 40]
    return record, named


def tool(name, *arguments):
    parts = {key: {"type": "integer"} for key in arguments}
    return {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": parts}},
    }


def taken(model, messages, record, stream, session=None, **options):
    layer, asked = TrustLayer(model), Asked(record={"contact": record}, session=session)

    async def last():
        return [p.reply async for p in layer.achat_stream(messages, asked=asked, **options)][-1]

    return asyncio.run(last() if stream else layer.achat(messages, asked=asked, **options))


def assert_hidden(model, record):
    left = json.dumps(model.seen).lower()
    parts = [*record["name"].lower().split(), re.sub(r"\D", "", record["phone"])[-8:]]
    assert not [part for part in parts if part in left], left


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_names_are_masked_legal_and_undone(seed, stream):
    record, named = person_of(random.Random(seed))
    tools = [tool(name, name, "plain") for name in named] + [tool("find_customer", "email")]
    model = Caller()
    choice = {"type": "function", "function": {"name": named[1]}}
    form = {"type": "json_schema", "json_schema": {"name": named[0], "schema": {"type": "object"}}}
    reply = taken(model, "Hello.", record, stream, tools=tools, tool_choice=choice, response_format=form)
    assert_hidden(model, record)
    sent = [t["function"] for t in model.seen[0]["tools"]]
    assert all(LEGAL.fullmatch(f["name"]) for f in sent) and len({f["name"] for f in sent}) == len(sent)
    assert all(LEGAL.fullmatch(key) for f in sent for key in f["parameters"]["properties"])
    assert sent[-1]["name"] == "find_customer"
    assert model.seen[0]["tool_choice"]["function"]["name"] == sent[1]["name"]
    given = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in reply.tool_calls]
    assert given == [(n, {n: 1, "plain": 1}) for n in named] + [("find_customer", {"email": 1})]


@pytest.mark.parametrize("seed", range(6))
def test_a_second_turn_names_the_function_in_the_same_way(seed):
    record, named = person_of(random.Random(50 + seed))
    for name in named:
        model, session, tools = Caller(), MaskingSession(), [tool(name, "plain")]
        first = taken(model, "Hello.", record, False, session, tools=tools)
        ids = [f"{name}_{n}" for n, _ in enumerate(first.tool_calls)]
        calls = [{**c, "id": i} for c, i in zip(first.tool_calls, ids)]
        said = [
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": None, "tool_calls": calls},
        ]
        said += [{"role": "tool", "tool_call_id": i, "content": "3"} for i in ids]
        taken(model, said, record, False, session, tools=tools)
        assert_hidden(model, record)
        _, again = model.seen
        made = again["messages"][1]["tool_calls"]
        assert [c["function"]["name"] for c in made] == [again["tools"][0]["function"]["name"]]
        assert again["tools"] == model.seen[0]["tools"]
        assert [m["tool_call_id"] for m in again["messages"][2:]] == [c["id"] for c in made]


def test_names_without_a_known_value_stay():
    record, _ = person_of(random.Random(3))
    names = ["find_customer", "getOrderStatus", "send-mail", "call_14", "x" * 64, "createCaseV2", "A"]
    model = Caller()
    taken(model, f"Hello {record['name']}.", record, False, tools=[tool(n, n) for n in names])
    assert [t["function"]["name"] for t in model.seen[0]["tools"]] == names
    assert [list(t["function"]["parameters"]["properties"]) for t in model.seen[0]["tools"]] == [
        [n] for n in names
    ]
