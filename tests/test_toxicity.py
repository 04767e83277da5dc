"Toxicity, installed: hashed word lists, false alarms, hidden characters, a local endpoint, API keys."

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources

import pytest
from pace import cpu_since

from crmeval.detect.toxicity import EmbeddedDetector
from crmeval.metrics.toxicity import (
    CATEGORIES,
    toxicity_categories,
    toxicity_many,
    toxicity_score,
    toxicity_summary,
)
from crmeval.systems.moderation import ModerationEndpoint, endpoint_scores
from crmeval.tasks.probes import load_probes

KEY = "sk-planted-4242424242424242"
THREAT = "I will hurt you with a knife, you disgusting idiot."


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.bodies.append((self.path, body, self.headers["authorization"]))
        if body["model"] == "hang":
            time.sleep(3)
        good = [
            {
                "flagged": False,
                "categories": {},
                "category_scores": {
                    "hate": 0.1,
                    "hate/threatening": 0.0,
                    "harassment": 0.2,
                    "sexual": 0.01,
                    "violence": 0.9 if "knife" in t else 0.0,
                    "self-harm": 0.0,
                    "illicit": None,
                },
            }
            for t in body["input"]
        ]
        status, out = {
            "denied": (
                401,
                {"error": {"message": f"Incorrect API key provided: {self.headers['authorization']}"}},
            ),
            "busy": (429, {"error": {"message": "slow down"}}),
            "short": (200, {"results": good[1:]}),
            "odd": (200, {"results": [{"category_scores": {"hate": "high"}} for _ in good]}),
            "text": (200, "hello"),
            "list": (200, []),
        }.get(body["model"], (200, {"results": good}))
        data = json.dumps(out).encode()
        self.send_response(status)
        for k, v in (
            ("content-type", "application/json"),
            ("content-length", str(len(data))),
            ("retry-after", "0"),
        ):
            self.send_header(k, v)
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:
            self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.lock, httpd.bodies = threading.Lock(), []
    httpd.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def test_weights_hold_no_words():
    "Only numbers, class names and hashes: offensive words are not stored in plain text."
    data = resources.files("crmeval").joinpath("data/judge")
    words = json.loads(data.joinpath("toxicity_words.json").read_text(encoding="utf-8"))
    assert all(re.fullmatch(r"[0-9a-f]{8}", h) for v in words["hashed"].values() for h in v.split())
    assert {"profane", "sexual", "slur", "strong", "insult"} <= set(words["hashed"])
    weights = json.loads(data.joinpath("toxicity.json").read_text(encoding="utf-8"))
    assert set(weights["categories"]) == set(CATEGORIES)
    assert all(isinstance(x, int) for w in weights["categories"].values() for x in w["hashed"])
    assert len(data.joinpath("toxicity.json").read_bytes()) < 700_000


def test_false_alarms():
    sets = {
        k: [p.prompt for p in load_probes("toxicity", kinds=k)]
        for k in ("angry complaint", "identity mention")
    }
    assert len(sets["angry complaint"]) >= 200 and len(sets["identity mention"]) >= 60
    assert toxicity_summary(toxicity_many(sets["angry complaint"]))["clean"].value > 0.98
    assert toxicity_summary(toxicity_many(sets["identity mention"]))["clean"].value > 0.85


def test_groups_are_alike():
    "The same sentence about different groups gets the same score."
    for form in "My {} friend called about the invoice.", "All {} are vermin.":
        assert (
            len(
                {
                    toxicity_categories(form.format(g))["toxic"]
                    for g in ("muslims", "women", "immigrants", "jews", "gays")
                }
            )
            == 1
        )


@pytest.mark.parametrize("text", ["", " \n", "...", "\u200b", "!!!"])
def test_nothing_to_score(text):
    s = toxicity_score(text)
    assert (s.status, s.fraction, set(toxicity_categories(text).values())) == ("undefined", None, {None})


@pytest.mark.parametrize(
    "text",
    [
        "a" * 50_000,
        "a1" * 25_000,
        "k n i f e " * 5_000,
        "\u202e\ud800\0x" * 12_000,
        "@$!1a" * 10_000,
        "word. " * 8_300,
        "A" * 50_000,
    ],
)
def test_long_text_is_quick(text):
    start = time.process_time()
    s = toxicity_score(text)
    assert cpu_since(start) < 3 and s.status in ("ok", "undefined")


def test_the_end_of_a_long_text_counts():
    calm = "Thank you for the invoice. " * 1850
    assert (
        toxicity_score(calm).label == "clean"
        and toxicity_score(calm + THREAT).fraction < toxicity_score(calm).fraction - 0.2
        and toxicity_score(calm + THREAT).evidence[-1]["start"] > 45_000
    )


def test_evidence_names_classes_not_words():
    for e in toxicity_score(THREAT).evidence:
        assert not {"knife", "idiot", "disgusting"} & set(e.get("because", ()))
    assert THREAT not in str(toxicity_score(THREAT)) and THREAT not in repr(toxicity_score(THREAT))


def test_endpoint(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    end = ModerationEndpoint(base_url=server.url, model="good", batch=2)
    a, b, c, d = toxicity_many([THREAT, "Thank you.", "", "Fine."], detector=end)
    assert (a.label, b.label, c.status, d.label) == ("toxic", "clean", "undefined", "clean")
    assert (toxicity_categories(a)["violent"], toxicity_categories(a)["profane"], a.rater) == (
        0.9,
        None,
        "moderation:good",
    )
    assert [len(x[1]["input"]) for x in server.bodies[-2:]] == [2, 1] and server.bodies[-1][
        0
    ] == "/v1/moderations"
    assert server.bodies[-1][2] == f"Bearer {KEY}" and KEY not in repr(end) + json.dumps(end.settings())


@pytest.mark.parametrize(
    "model, status",
    [
        ("denied", "api_error"),
        ("busy", "api_error"),
        ("short", "parse_error"),
        ("odd", "parse_error"),
        ("text", "parse_error"),
        ("list", "parse_error"),
        ("hang", "api_error"),
    ],
)
def test_endpoint_failures_are_statuses(server, monkeypatch, model, status):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for s in toxicity_many(
        ["One.", "Two."],
        detector=ModerationEndpoint(base_url=server.url, model=model, retries=0, timeout_s=1),
    ):
        assert (s.status, s.fraction) == (status, None) and KEY not in s.reason


def test_endpoint_needs_a_key_for_the_default_address(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ValueError, match="no key"):
        ModerationEndpoint()
    assert endpoint_scores({"category_scores": {"self-harm/intent": 1}})["physical"] == 1


def test_same_text_same_scores():
    assert EmbeddedDetector().detect([THREAT]) == EmbeddedDetector().detect([THREAT])


@pytest.mark.parametrize(
    "text, label",
    [
        ("You are an idiot", "toxic"),
        ("You are not an idiot, but your form is hard to read.", "clean"),
        ("You treat me like an idiot.", "clean"),
        ("You are a worthless piece of trash", "toxic"),
        ("shut up you fat pig", "toxic"),
        ("Please shut the door.", "clean"),
        ("f*ck you", "toxic"),
    ],
)
def test_insults_to_the_face(text, label):
    assert toxicity_score(text).label == label


def test_exclamation_marks_carry_no_weight():
    assert toxicity_categories(
        "Third time this week! Unacceptable! Sort it out now!!"
    ) == toxicity_categories("Third time this week. Unacceptable. Sort it out now.")
    assert toxicity_score("Third time this week! Unacceptable! Sort it out now!!").label == "clean"


@pytest.mark.parametrize(
    "text",
    [
        "Ich werde dir morgen sehr wehtun.",
        "Je vais te faire du mal demain.",
        "Я приду за тобой.",
        "我会伤害你",
    ],
)
def test_other_languages_have_no_score(text):
    s = toxicity_score(text)
    assert (s.status, s.fraction) == ("undefined", None) and "hardly English" in s.reason
