"A batch endpoint on loopback that behaves like OpenAI's: late validation, answers in another order."

import json
import random
import re
import threading
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from endpoint import honest


def completion(body):
    "Return a model's answer, which depends on the request alone, so that batch and direct calls agree."
    text = f"The customer has problem {len(body['messages'][0]['content'])}."
    if body["model"] == "judge":
        text = honest(body["messages"])
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {
        "model": body["model"] + "-1",
        "choices": [choice],
        "usage": {"prompt_tokens": 50, "completion_tokens": 7},
    }


def message_batch(batch):
    "Return the description of a batch in the format of Anthropic's interface."
    n, is_over = batch["n"], batch["status"] == "ended"
    counts = {"processing": 0 if is_over else n, "succeeded": n if is_over else 0}
    counts |= {"errored": 0, "canceled": 0, "expired": 0}
    row = {"id": batch["id"], "type": "message_batch", "request_counts": counts}
    return row | {"processing_status": batch["status"], "created_at": "2033-05-18T03:33:20.5Z"}


def message(params):
    "Return a model's answer in the format of that interface, with the same text."
    reply = completion(params)
    content = [{"type": "text", "text": reply["choices"][0]["message"]["content"]}]
    used = {"input_tokens": 50, "output_tokens": 7}
    return {
        "type": "message",
        "model": reply["model"],
        "content": content,
        "stop_reason": "end_turn",
        "usage": used,
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        server, raw = self.server, self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/chat/completions":
            server.direct.append(json.loads(raw))
            return self.send(200, completion(json.loads(raw)))
        if self.path == "/v1/files":
            head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
            parts = {
                p.get_param("name", header="content-disposition"): p
                for p in BytesParser().parsebytes(head + raw).get_payload()
            }
            assert parts["purpose"].get_payload() == "batch"
            name = f"file-{len(server.files)}"
            server.files[name] = parts["file"].get_payload(decode=True)
            return self.send(200, {"id": name, "object": "file"})
        if self.path == "/v1/batches":
            return self.send(*server.begin(json.loads(raw)))
        if self.path == "/v1/messages/batches":
            assert self.headers["x-api-key"] and self.headers["anthropic-version"]
            return self.send(200, server.begin_messages(json.loads(raw)["requests"]))
        self.send(404, {"error": {"message": "not found"}})

    def do_GET(self):
        server, path = self.server, self.path.partition("?")[0]
        if server.has_none:
            return self.send(404, {"error": {"message": "not found"}})
        if path == "/v1/batches":
            found = list(server.batches.values())[::-1]
            return self.send(200, {"object": "list", "data": found, "has_more": False})
        if found := re.fullmatch(r"/v1/batches/([\w-]+)", path):
            known = server.batches.get(found[1])
            return self.send(200, known) if known else self.send(404, {"error": {"message": "no such batch"}})
        if path == "/v1/messages/batches":
            rows = [message_batch(b) for b in list(server.batches.values())[::-1]]
            return self.send(200, {"data": rows, "has_more": False})
        if found := re.fullmatch(r"/v1/messages/batches/(\w+)(/results)?", path):
            batch = server.batches[found[1]]
            if found[2]:
                return self.send(200, server.files[batch["output_file_id"]], "application/x-jsonl")
            return self.send(200, message_batch(batch))
        found = re.fullmatch(r"/v1/files/([\w-]+)/content", path)
        if found and found[1] in server.files:
            return self.send(200, server.files[found[1]], "application/octet-stream")
        self.send(404, {"error": {"message": "no such file"}})

    def send(self, status, out, kind="application/json"):
        data = out if isinstance(out, bytes) else json.dumps(out).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.batches, self.direct, self.paid = {}, {}, [], []  # paid: ids of answered requests
        self.has_none, self.url = False, f"http://127.0.0.1:{self.server_port}/v1"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def begin(self, request):
        name = f"batch_{len(self.batches)}"
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "created_at": 2_000_000_000,
            "status": "validating",
            **{k: request[k] for k in ("input_file_id", "endpoint", "metadata", "completion_window")},
        }
        return 200, self.batches[name]

    def finish(self, *, lost=0, late=0, more=(), status="completed"):
        "Answer all open batches in a shuffled order: `lost` lines are errors, `late` ones have expired."
        for batch in [b for b in self.batches.values() if b["status"] in ("validating", "in_progress")]:
            requests = [json.loads(x) for x in self.files[batch["input_file_id"]].splitlines()]
            assert len({a["body"]["model"] for a in requests}) == 1 and all(
                a["method"] == "POST" for a in requests
            )
            random.Random(1).shuffle(requests)
            good, bad = requests[lost + late :], requests[:lost]
            self.paid += [a["custom_id"] for a in good]
            answers = [_line(a, 200, completion(a["body"])) for a in good]
            errors = [_line(a, 500, {"error": {"message": "it broke"}}) for a in bad]
            gone = {"response": None, "error": {"code": "batch_expired", "message": "too late"}}
            errors += [{"id": "r", "custom_id": a["custom_id"], **gone} for a in requests[lost : lost + late]]
            batch["output_file_id"] = self._keep(answers, more)
            batch["error_file_id"] = self._keep(errors) if errors else None
            batch["status"] = status

    def begin_messages(self, requests):
        name = f"msgbatch_{len(self.batches)}"
        self.batches[name] = {"id": name, "status": "in_progress", "n": len(requests), "asked": requests}
        return message_batch(self.batches[name])

    def finish_messages(self, gone=0):
        "Answer all open message batches; the last `gone` requests have expired."
        for batch in [b for b in self.batches.values() if b["status"] == "in_progress"]:
            requests = batch["asked"][::-1]
            good, late = requests[gone:], requests[:gone]
            self.paid += [a["custom_id"] for a in good]
            lines = [(a, {"type": "succeeded", "message": message(a["params"])}) for a in good]
            lines += [(a, {"type": "expired"}) for a in late]
            batch["output_file_id"] = self._keep(
                [{"custom_id": a["custom_id"], "result": r} for a, r in lines]
            )
            batch["status"] = "ended"

    def _keep(self, lines, more=()):
        name = f"file-{len(self.files)}"
        self.files[name] = b"".join([json.dumps(x).encode() + b"\n" for x in lines] + list(more))
        return name

    def stop(self):
        self.shutdown()
        self.server_close()


def _line(request, status, body):
    return {
        "id": "r",
        "custom_id": request["custom_id"],
        "response": {"status_code": status, "body": body},
        "error": None,
    }
