"""A scripted model endpoint: its answer depends on the model name and the request, and it keeps every body.

echo       calls the tools that are offered, fills the schema that is asked for, else repeats a message
parallel   the same, with a call of every tool at once; gpt-5 too, since libraries look at names
busy       HTTP 429 with Retry-After: 1 twice, then as echo
down       HTTP 500 with the prompt in the error
refuses    HTTP 400 with the prompt in the error
slow       waits 60 seconds
cut        closes the connection in the middle of its answer

GET /seen gives the bodies since the last POST /forget, and how many calls were left by their caller.
"""

import asyncio
import json
import re
import sys
from itertools import zip_longest

from aiohttp import web

KINDS = (("phone", "PHONE"), ("mail", "EMAIL"), ("iban", "IBAN"), ("account", "IBAN"), ("", "PERSON"))
ANY = {"properties": {k: {"type": "string"} for k in ("name", "phone", "email", "iban")}}  # without a schema
PARALLEL = ("parallel", "gpt-5")
DONE = ("final_result", "Caller")  # names of tools that end the work


def texts_of(message):
    "Return the text of a message."
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


class Script:
    "Answers to one request."

    def __init__(self, body):
        self.body, self.messages = body, body["messages"]
        others = [m for m in self.messages if m["role"] not in ("system", "developer")]
        self.said = "\n".join(map(texts_of, others))
        form = body.get("response_format") or {}
        given = form.get("json_schema", {}).get("schema")
        self.schema = ANY if form.get("type") == "json_object" else given

    def message(self):
        "Return the answer as a message of the chat interface."
        last, tools = self.messages[-1], [t["function"] for t in self.body.get("tools", ())]
        if tools and self.body.get("tool_choice") != "none":
            if chosen := self.chosen(tools, last["role"] == "tool"):
                return {"role": "assistant", "content": None, "tool_calls": [*map(self.call, *chosen)]}
        if self.schema:
            return {"role": "assistant", "content": json.dumps(self.filled(self.schema, "", self.schema))}
        words = [texts_of(m) for m in self.messages if m["role"] == last["role"]]
        said = "Done. " + " ".join(words) if last["role"] == "tool" else words[-1]
        return {"role": "assistant", "content": said}

    def chosen(self, tools, answered):
        "Return (numbers, tools) to call; None for an answer in words."
        choice = self.body.get("tool_choice")
        named = choice["function"]["name"] if isinstance(choice, dict) else None
        work = [t for t in tools if t["name"] not in DONE]
        last = [t for t in tools if t["name"] in DONE]
        found = [t for t in tools if t["name"] == named] or (last if answered else work or last)
        if self.body["model"] not in PARALLEL:
            found = found[:1]
        before = sum(len(m.get("tool_calls") or ()) for m in self.messages)
        return (range(before, before + len(found)), found) if found else None

    def call(self, n, tool):
        "Return a call of a tool with the placeholders of the prompt."
        schema = tool.get("parameters") or {}
        made = json.dumps(self.filled(schema, "", schema))
        return {"id": f"call_{n}", "type": "function", "function": {"name": tool["name"], "arguments": made}}

    def filled(self, schema, name, root):
        "Return data for a schema."
        if "$ref" in schema:
            found = root
            for key in schema["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            return self.filled(found, name, root)
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return self.filled(schema[key][0], name, root)
        if "enum" in schema or "const" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        kind = schema.get("type", "object")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {k: self.filled(v, k, root) for k, v in schema.get("properties", {}).items()}
        if kind == "array":
            return [self.filled(schema.get("items", {"type": "string"}), name, root)]
        plain = {"integer": 3, "number": 2.5, "boolean": True, "null": None}
        return plain[kind] if kind in plain else self.value(name)

    def value(self, name):
        "Return the placeholder that fits a property's name, or else a word."
        kind = next(kind for part, kind in KINDS if part in name.lower())
        found = re.findall(rf"\[{kind}\w*_\w+\]", self.said)
        return found[0] if found else "nothing"


class Endpoint:
    "Serves the script, and keeps what it was asked."

    def __init__(self):
        self.seen, self.left, self.refused = [], 0, 0

    async def answer(self, request):
        raw = await request.text()
        self.seen.append(raw)
        body = json.loads(raw)
        kind = body["model"]
        if kind == "busy" and self.refused < 2:
            self.refused += 1
            error = {"error": {"message": "slow down", "type": "rate_limit_error", "code": None}}
            return web.json_response(error, status=429, headers={"Retry-After": "1"})
        if kind in ("down", "refuses"):
            error = {"error": {"message": f"cannot read {body['messages']}", "type": "x", "code": None}}
            return web.json_response(error, status=500 if kind == "down" else 400)
        try:
            return await self.sent(request, body)
        except asyncio.CancelledError:
            self.left += 1
            raise
        except ConnectionError:
            self.left += kind != "cut"
            return web.Response()

    async def sent(self, request, body):
        "Send the answer, whole or in pieces."
        if body["model"] == "slow":
            await asyncio.sleep(60)
        said = Script(body).message()
        finish = "tool_calls" if said.get("tool_calls") else "stop"
        usage = {"prompt_tokens": 90, "completion_tokens": 30, "total_tokens": 120}
        head = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            if body["model"] == "cut":
                request.transport.abort()
            choice = {"index": 0, "message": said, "finish_reason": finish}
            whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
            return web.json_response(whole)
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(request)

        async def piece(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            await event({**head, "object": "chat.completion.chunk", "choices": [choice]})

        async def event(data):
            await out.write(f"data: {json.dumps(data)}\n\n".encode())

        await piece({"role": "assistant", "content": ""})
        await self.letters(request, body, said, piece)
        await piece({}, finish)
        if (body.get("stream_options") or {}).get("include_usage"):
            await event({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        await out.write(b"data: [DONE]\n\n")
        return out

    async def letters(self, request, body, said, piece):
        "Send text by letters, and the arguments of parallel calls in turns."
        for n, letter in enumerate(said["content"] or ""):
            if body["model"] == "cut" and n == 200:
                request.transport.abort()
            if body["model"] == "drip" and n > 200:
                await asyncio.sleep(0.2)
            await piece({"content": letter})
        calls = said.get("tool_calls") or []
        for n, call in enumerate(calls):
            begun = {**call, "index": n, "function": {**call["function"], "arguments": ""}}
            await piece({"tool_calls": [begun]})
        parts = [re.findall(r".{1,3}", c["function"]["arguments"], re.DOTALL) for c in calls]
        for row in zip_longest(*parts):
            for n, part in enumerate(row):
                if part is not None:
                    await piece({"tool_calls": [{"index": n, "function": {"arguments": part}}]})

    async def told(self, request):
        return web.json_response({"seen": self.seen, "left": self.left})

    async def forget(self, request):
        self.seen, self.left, self.refused = [], 0, 0
        return web.json_response({})


async def main():
    endpoint, app = Endpoint(), web.Application(client_max_size=2**24)
    app.router.add_post("/v1/chat/completions", endpoint.answer)
    app.router.add_get("/seen", endpoint.told)
    app.router.add_post("/forget", endpoint.forget)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the starter closes it


if __name__ == "__main__":
    asyncio.run(main())
