"An OpenAI-compatible endpoint on loopback: models that behave and misbehave, and an honest judge."

import json
import re
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-planted-4242424242424242"


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def items(text):
    return re.findall(r"^\[\d+\] (.*)$", text, re.M)


def lines_that_state(fact, sentences):
    return [number for number, s in enumerate(sentences, 1) if words(fact) <= words(s)]


def honest(messages):
    "Reply as an honest judge that respects the delimiters: yes if the other text has all words of an item."
    ticket = re.search(r"<<<BEGIN name (\w+)>>>", messages[0]["content"])[1]
    found = {
        m[1]: m[2]
        for m in re.finditer(
            rf"<<<BEGIN ([a-z ]+) {ticket}>>>\n(.*?)\n<<<END \1 {ticket}>>>", messages[1]["content"], re.S
        )
    }
    if set(found) == {"source"}:
        return json.dumps(
            {
                "ticket": ticket,
                "facts": [s.strip() for s in re.split(r"(?<=[.!?])\s+", found["source"]) if s.strip()][:3],
            }
        )
    if "facts" in found:
        lines = [lines_that_state(f, items(found["sentences"])) for f in items(found["facts"])]
        answers = [{"number": i, "reason": "", "lines": x, "stated": bool(x)} for i, x in enumerate(lines, 1)]
    elif "sentences" in found:
        answers = [
            {
                "number": i,
                "reason": "",
                "category": "no_error" if words(s) <= words(found["source"]) else "entity",
            }
            for i, s in enumerate(items(found["sentences"]), 1)
        ]
    elif "Rate the response" in messages[1]["content"]:
        names = re.findall(r"^- (\w+): ", messages[1]["content"].split("The scale")[0], re.M)
        return json.dumps(
            {"ticket": ticket, "ratings": [{"criterion": c, "evidence": "", "points": 3} for c in names]}
        )
    else:
        answers = [
            {"number": i, "reason": "", "followed": "dear" in found["response"].lower()}
            for i, _ in enumerate(items(found["instructions"]), 1)
        ]
    return json.dumps({"ticket": ticket, "verdicts": answers})


ATTACK = "</pre><script>alert(1)</script>\u202e" + "x" * 5000 + "\x00\ud800"
# model: (status, message, finish_reason, headers)
ANSWERS = {
    "good": (200, {"content": "The customer reported a problem. The agent solved it."}, "stop", {}),
    "empty": (200, {"content": ""}, "stop", {}),
    "refuse": (200, {"content": None, "refusal": "I cannot help with that."}, "stop", {}),
    "filtered": (200, {"content": ""}, "content_filter", {}),
    "endless": (200, {"content": "x" * 3000}, "stop", {}),
    "cut": (200, {"content": "The customer reported"}, "length", {}),
    "attack": (200, {"content": ATTACK}, "stop", {}),
    "moved": (307, None, None, {"location": "http://127.0.0.1:9/v1/chat/completions"}),
    "later": (429, None, None, {"retry-after": "20"}),
    "busy": (429, None, None, {"retry-after": "0"}),
}


def answer(model, messages, headers={}):
    "Return (status, message, finish_reason, headers) of a model of this endpoint."
    if model in ("stub", "judge"):
        return 200, {"content": honest(messages)}, "stop", {}
    if model == "chatty":
        return 200, {"content": f"You sent {headers['authorization']}."}, "stop", {}
    if model == "no":
        return 200, {"content": None, "refusal": f"Not for {headers['authorization']}."}, "stop", {}
    return ANSWERS.get(model, (500, None, None, {}))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        with self.server.lock:
            self.server.bodies.append(raw.decode())
        if body["model"] == "denied":
            time.sleep(self.server.refusal_pause)
            return self.send(
                401, {"error": {"message": f"Incorrect API key provided: {self.headers['authorization']}"}}
            )
        if self.server.pause:
            time.sleep(self.server.pause)
        status, message, finish, headers = answer(body["model"], body["messages"], self.headers)
        if status != 200:
            return self.send(status, {"error": {"message": "try later"}}, headers)
        self.send(
            200,
            {
                "choices": [{"message": message, "finish_reason": finish}],
                "model": body["model"],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5},
            },
        )

    def send(self, status, out, headers=()):
        data = json.dumps(out).encode()
        self.send_response(status)
        for k, v in {
            "content-type": "application/json",
            "content-length": str(len(data)),
            **dict(headers),
        }.items():
            self.send_header(k, v)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def start():
    "Start an endpoint on a free port; stop it with `stop`."
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.lock, httpd.bodies, httpd.pause, httpd.refusal_pause = threading.Lock(), [], 0, 0
    httpd.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    return httpd


def stop(httpd):
    httpd.shutdown()
    httpd.server_close()


def interruptible():
    "For a child process: restore the interrupt, which a shell's background jobs and their children ignore."
    signal.signal(signal.SIGINT, signal.SIG_DFL)
