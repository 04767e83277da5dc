"Real-world endpoints: thoughts, refused options, replies without an answer, headers, proxies."

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pace import cpu_since

from crmeval.cli.app import main
from crmeval.core.calls import CallFailed
from crmeval.core.records import (
    RECORD_TYPES,
    Response,
    Sample,
    from_dict,
    read_parquet,
    to_dict,
    write_parquet,
)
from crmeval.core.thoughts import split_thoughts
from crmeval.runs.evaluation import run
from crmeval.runs.runner import answer_all
from crmeval.runs.specs import make_client, make_judge
from crmeval.systems.completions import ending
from crmeval.systems.openai import OpenAIClient
from crmeval.systems.providers import providers
from crmeval.systems.refused_options import Change, read_refusal
from crmeval.systems.wire import proxy_of

SAMPLE = Sample("s1", "service_conversation_summary", {"conversation": "Customer: My line is dead."})
ANSWER = "The order was lost. A new one arrives on Friday."
THOUGHT = "The user wants a summary. Maybe 9999 on Monday."


class Scripted(BaseHTTPRequestHandler):
    "Answer by a script: a function of the request body, or a list of answers whose last one repeats."

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server = self.server
        with server.lock:
            server.asked.append((self.path, dict(self.headers), body))
            script = server.script
            reply = script(body) if callable(script) else script[min(len(server.asked), len(script)) - 1]
        status, out, kind = reply if isinstance(reply, tuple) else (200, reply, None)
        raw = out if isinstance(out, bytes) else json.dumps(out).encode()
        self.send_response(status)
        self.send_header("content-type", kind or "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        pass


@pytest.fixture
def endpoint(monkeypatch):
    "Yield an endpoint whose `script` determines its answers."
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    httpd.lock, httpd.asked, httpd.script = threading.Lock(), [], []
    httpd.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def said(content=None, finish="stop", **message):
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}], "model": "m"}


def events(*pieces, done=True):
    "Return a stream as bytes; pieces that are text are sent unchanged."
    lines = [p if isinstance(p, str) else f"data: {json.dumps(p)}\n\n" for p in pieces]
    return 200, ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode(), "text/event-stream"


def delta(finish=None, **content):
    return {"model": "m", "choices": [{"index": 0, "delta": content, "finish_reason": finish}]}


def refusing(option, refusal):
    "Return a script that refuses every request with the given option."

    def script(body):
        return refusal if option in body else said(ANSWER)

    return script


def row_of(endpoint, script, **options):
    "Return the row of one call, without retries."
    endpoint.script = script if callable(script) or isinstance(script, list) else [script]
    options = {"base_url": endpoint.url, **options}

    async def ask():
        client = OpenAIClient(options.pop("model", "m"), **options)
        try:
            return await client.answer(SAMPLE, "Sum up.")
        finally:
            await client.aclose()

    return asyncio.run(ask())


def run_row(endpoint, script, retries=2, **options):
    "Return the row that a run keeps, after its retries."
    endpoint.script = script

    async def ask():
        client = OpenAIClient("m", base_url=endpoint.url, **options)
        try:
            quick = {"retries": retries, "sleep": no_sleep, "progress": False}
            return (await answer_all([SAMPLE], [client], **quick))[0][0]
        finally:
            await client.aclose()

    return asyncio.run(ask())


async def no_sleep(seconds):
    pass


# Thoughts in a text

MARKED = [
    f"<think>{THOUGHT}</think>{ANSWER}",
    f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}",
    f"\n\n<think>\n{THOUGHT}\n</think>\n{ANSWER}",
    f"{THOUGHT}\n</think>\n\n{ANSWER}",
    f"{THOUGHT} I should not write `<think>` tags.\n</think>\n\n{ANSWER}",
    f"{THOUGHT} The <think> tag stands in the template.\n</think>\n{ANSWER}",
    f"{THOUGHT}</think>{ANSWER}",
    f"{THOUGHT}</think> {ANSWER}",
    f"\n</think>\n\n<think>{THOUGHT}</think>{ANSWER}",
    f"<THINK>{THOUGHT}</THINK>{ANSWER}",
    f"<thinking>\n{THOUGHT}\n</thinking>\n{ANSWER}",
    f"<thought>{THOUGHT}</thought>\n{ANSWER}",
    f"<reasoning>{THOUGHT}</reasoning>{ANSWER}",
    f"<scratchpad>{THOUGHT}</scratchpad>{ANSWER}",
    f"<seed:think>{THOUGHT}</seed:think>{ANSWER}",
    f"<mm:think>{THOUGHT}</mm:think>{ANSWER}",
    f'<think duration="3">{THOUGHT}</think>{ANSWER}',
    f"[THINK]{THOUGHT}[/THINK]{ANSWER}",
    f"◁think▷{THOUGHT}◁/think▷{ANSWER}",
    f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|><|begin_of_solution|>{ANSWER}<|end_of_solution|>",
    f"<|START_THINKING|>{THOUGHT}<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
    f"<unused94>thought\n{THOUGHT}<unused95>{ANSWER}",
    f"&lt;think&gt;{THOUGHT}&lt;/think&gt;{ANSWER}",
    f'<details type="reasoning" done="true">\n{THOUGHT}\n</details>\n{ANSWER}',
    f"<think>{THOUGHT}</think>\n<answer>\n{ANSWER}\n</answer>",
    f"<think>{THOUGHT}</think><think>Again.</think>{ANSWER}",
    f"<think>{THOUGHT}<think>deeper</think>back</think>{ANSWER}",
    f"<think>{THOUGHT} I write `</think>` behind it.</think>{ANSWER}",
    f"<think>\n{THOUGHT}\n```\nx = 1\n</think>\n{ANSWER}",
    f"<think>{THOUGHT}</think>\n</think>\n{ANSWER}",
    f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
    f"<|channel|>analysis{THOUGHT}<|channel|>final{ANSWER}",
    f"<|start|>assistant<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
    f"analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
    f"analysis{THOUGHT}assistantfinal{ANSWER}",
]


@pytest.mark.parametrize("text", MARKED)
def test_thoughts_in_front_of_an_answer_come_off(text):
    apart = split_thoughts(text)
    assert apart.text == ANSWER
    assert "9999" in apart.thoughts and not apart.unfinished
    assert text[apart.start :].startswith(ANSWER), "the position where the answer begins"


@pytest.mark.parametrize(
    "answer",
    [
        "Die Bestellung ging verloren. Eine neue kommt am Freitag.",
        "La commande a été perdue ; une nouvelle arrive vendredi.",
        "注文は失われました。新しいものは金曜日に届きます。",
        "Заказ потерян, новый придёт в пятницу.",
        "فُقد الطلب وسيصل طلب جديد يوم الجمعة.",
        '{"summary": "lost", "priority": 2}',
        "- lost\n- a new one on Friday",
        "```json\n{}\n```",
    ],
)
@pytest.mark.parametrize("marks", [("<think>", "</think>"), ("", "</think>"), ("[THINK]", "[/THINK]")])
def test_the_answer_may_be_in_any_language_or_form(answer, marks):
    apart = split_thoughts(f"{marks[0]}\nVielleicht Montag? 9999? もしかして。\n{marks[1]}\n\n{answer}")
    assert apart.text == answer and "9999" in apart.thoughts


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        "",
        "Put `<think>` before your notes and `</think>` after them.",
        "The tag <think> opens a thought and </think> closes it.",
        "A <think> tag is no HTML element.",
        "<think> is not an HTML element, sorry.",
        "The block ends with </think>.",
        "Close it with </think> when you are done.",
        'Your template holds "</think>" twice.',
        "Remove the </think> tag from your template.",
        "Das schließende </think> fehlt in Ihrer Vorlage.",
        "La balise de fin « </think> » manque dans votre modèle.",
        "The closing tag (</think>) is missing.",
        "What is missing is **</think>**, nothing else.",
        "La balise `</think>` manque dans votre modèle.",
        "Here is the code:\n```html\n<think>\nnotes\n</think>\n```\nIt renders nothing.",
        "~~~\n</think>\n~~~\nis the closing tag.",
        "Write it like this:\n<think>\nyour notes\n</think>\nand then the answer.",
        "Our agents think. <b>They</b> do.",
        "The thinking behind it: [THINK] stands for a brand.",
        "1 < 2 and think > 3",
        "analysis of the call: the line is dead",
        "Analysis: the line is dead. Final: replaced.",
        "Use <details><summary>More</summary>text</details> for that.",
        "I think the order was lost.",
    ],
)
def test_an_answer_that_speaks_of_tags_keeps_its_text(text):
    apart = split_thoughts(text)
    assert (apart.text, apart.thoughts, apart.start) == (text, None, 0)


@pytest.mark.parametrize(
    "text",
    ["<think>", f"<think>\n{THOUGHT}", f"[THINK]{THOUGHT}", f"<|channel|>analysis<|message|>{THOUGHT}"],
)
def test_thoughts_that_were_cut_leave_no_answer(text):
    apart = split_thoughts(text)
    assert apart.text == "" and apart.unfinished


def test_a_block_on_lines_of_its_own_comes_off_behind_a_greeting():
    apart = split_thoughts(f"Good day.\n<think>\n{THOUGHT}\n</think>\n{ANSWER}")
    assert apart.text == f"Good day.\n\n{ANSWER}" and apart.thoughts == THOUGHT


@pytest.mark.parametrize(
    "piece",
    [
        "<think>",
        "</think>",
        "`</think>` ",
        "\n<think>\n",
        "<think>a</think>",
        "<|channel|>",
        "[THINK]</think>",
        "<|message|>a",
        "<think ",
    ],
)
def test_a_text_of_nothing_but_marks_is_read_quickly(piece):
    start = time.process_time()
    split_thoughts((piece * 50_000)[:50_000])
    split_thoughts("x" + (piece * 50_000)[:50_000])
    assert cpu_since(start) < 4


# Thoughts in an answer's fields, parts and pieces

FIELDS = [
    {"reasoning_content": THOUGHT},
    {"reasoning": THOUGHT},
    {"reasoning": {"text": THOUGHT}},
    {"reasoning": THOUGHT, "reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]},
    {"reasoning_details": [{"type": "reasoning.summary", "summary": THOUGHT}]},
    {"reasoning_content": None, "reasoning": THOUGHT},
    {"thinking": THOUGHT},
    {"reasoning": {"summary": [{"type": "summary_text", "text": THOUGHT}]}},
    {"thinking_blocks": [{"type": "thinking", "thinking": THOUGHT, "signature": "x"}]},
]


@pytest.mark.parametrize("field", FIELDS)
def test_thoughts_in_a_field_are_kept_in_the_row_once(endpoint, field):
    row = row_of(endpoint, said(ANSWER, **field))
    assert (row.text, row.status, row.reasoning) == (ANSWER, "ok", THOUGHT)


PARTS = [
    [{"type": "text", "text": ANSWER}],
    [{"type": "output_text", "text": ANSWER}],
    [{"type": "text", "text": {"value": ANSWER}}],
    ["The order was lost. ", {"type": "text", "text": "A new one arrives on Friday."}],
    [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, {"type": "text", "text": ANSWER}],
    [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": ANSWER}],
    [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]},
        {"type": "text", "text": ANSWER},
    ],
    [{"text": THOUGHT, "thought": True}, {"text": ANSWER}],
    [{"type": "redacted_thinking", "data": "xxxx"}, {"type": "text", "text": ANSWER}],
    [{"type": "text", "text": f"<think>{THOUGHT}</th"}, {"type": "text", "text": f"ink>{ANSWER}"}],
    [None, 3, {"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": ANSWER}],
]


@pytest.mark.parametrize("content", PARTS)
def test_an_answer_in_parts(endpoint, content):
    row = row_of(endpoint, said(content))
    assert (row.text, row.status) == (ANSWER, "ok")
    assert row.reasoning == (THOUGHT if "Monday" in json.dumps(content) else None)


def pieces_of(text, size):
    return [delta(content=text[i : i + size]) for i in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 1000])
@pytest.mark.parametrize("text", [MARKED[0], MARKED[3], MARKED[18], MARKED[30]])
def test_marks_that_are_split_over_pieces_of_a_stream(endpoint, text, size):
    row = row_of(endpoint, events(*pieces_of(text, size), delta("stop")), stream=True)
    assert (row.text, row.status) == (ANSWER, "ok")
    assert row.reasoning == THOUGHT and 0 < row.ttft_s <= row.latency_s


@pytest.mark.parametrize("field", FIELDS[:2] + FIELDS[6:7])
def test_thoughts_in_the_fields_of_a_stream(endpoint, field):
    (name, thought), half = next(iter(field.items())), len(THOUGHT) // 2
    halves = [delta(**{name: thought[:half]}), delta(**{name: thought[half:], "content": ""})]
    row = row_of(endpoint, events(*halves, delta(content=ANSWER), delta("stop")), stream=True)
    assert (row.text, row.reasoning, row.status) == (ANSWER, THOUGHT, "ok")


def test_parts_in_a_stream(endpoint):
    thinking = delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}])
    row = row_of(
        endpoint,
        events(thinking, delta(content=[{"type": "text", "text": ANSWER}]), delta("stop")),
        stream=True,
    )
    assert (row.text, row.reasoning) == (ANSWER, THOUGHT)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", [f"<think>{THOUGHT}", f"[THINK]{THOUGHT}"])
def test_a_cut_thought_is_a_cut_answer_without_text(endpoint, stream, text):
    reply = events(delta(content=text), delta("length")) if stream else said(text, "length")
    row = row_of(endpoint, reply, stream=stream)
    assert (row.status, row.text, row.reasoning) == ("truncated", None, THOUGHT)
    assert "before the answer began" in row.error


def test_a_cut_answer_keeps_what_came_of_it(endpoint):
    row = row_of(endpoint, said(f"<think>{THOUGHT}</think>The order", "length"))
    assert (row.status, row.text, row.reasoning) == ("truncated", "The order", THOUGHT)


def test_thoughts_reach_neither_the_scores_nor_the_judge(endpoint):
    seen = []

    def scorer(sample, response):
        seen.append(response)
        return []

    endpoint.script = [said(f"<think>{THOUGHT}</think>{ANSWER}")]

    async def ask():
        client = OpenAIClient("m", base_url=endpoint.url)
        return await answer_all([SAMPLE], [client], scorer=scorer, progress=False)

    ((row, _),) = asyncio.run(ask())
    assert row.text == seen[0].text == ANSWER and row.reasoning == THOUGHT


def test_the_row_is_stored_with_its_thoughts_and_older_rows_are_read(tmp_path):
    row = Response("s", "c", ANSWER, reasoning=THOUGHT, settings="without temperature")
    assert read_parquet(write_parquet([row], tmp_path / "r.parquet", Response), Response) == [row]
    older = {k: v for k, v in to_dict(row).items() if k not in ("reasoning", "settings")}
    assert from_dict(RECORD_TYPES["response"], older) == Response("s", "c", ANSWER)


def test_a_judge_that_reasons_is_read(endpoint):
    def script(body):
        from endpoint import honest

        return said(f"<think>I could say 4, or 1.</think>{honest(body['messages'])}")

    endpoint.script = script
    judge = make_judge("openai:m", base_url=endpoint.url)
    verdicts = judge.supported(["The line is dead."], source="My line is dead. The line is dead.")
    assert [v.status for v in verdicts] == ["ok"] and verdicts[0].yes


# Options that are refused

UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."
REFUSED = [
    ("temperature", UNSUPPORTED.format("temperature")),
    (
        "temperature",
        "Unsupported value: 'temperature' does not support 0 here. Only the default (1) value is supported.",
    ),
    ("temperature", "`temperature` is deprecated for this model."),
    ("temperature", "invalid temperature: only 1 is allowed for this model"),
    ("temperature", "This model doesn't support the temperature field. Remove temperature and try again."),
    ("temperature", "`temperature` may only be set to 1 when thinking is enabled."),
    ("temperature", "openai does not support parameters: ['temperature'], for model=o1"),
    ("temperature", "Model incompatible request argument supplied: temperature"),
    ("temperature", "该模型不支持参数 temperature"),
    ("temperature", "Der Parameter temperature wird nicht unterstützt."),
    ("top_p", "`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
    ("top_p", 'Invalid JSON payload received. Unknown name "topP": Cannot find field.'),
    ("stop", UNSUPPORTED.format("stop")),
    ("stop", "Argument not supported on this model: stop"),
    ("seed", "Unknown field: seed"),
    ("seed", 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'),
    ("seed", "Unrecognized request argument supplied: seed"),
    ("logprobs", "`logprobs` is not supported with this model"),
    ("logprobs", "property 'logprobs' is unsupported"),
    ("logprobs", "This model does not support logprobs."),
    (
        "logprobs",
        "Malformed input request: extraneous key [logprobs] is not permitted, please reformat your input.",
    ),
    ("logprobs", "Requested sample logprobs of 8, which is greater than max allowed: 5"),
    ("response_format", "Unknown field: response_format"),
    ("response_format", "This response_format type is unavailable now"),
    ("presence_penalty", "Model m does not support parameter presencePenalty."),
    ("frequency_penalty", "frequency_penalty: Extra inputs are not permitted"),
    ("logit_bias", "Unrecognized request argument supplied: logit_bias"),
    ("seed", "Additional properties are not allowed ('seed' was unexpected)"),
    ("stop", "Unsupported parameter(s): user, stop"),
    ("top_logprobs", "The value of top_logprobs must be less than 5"),
    ("top_p", "Thinking mode does not support top_p."),
]


def dialects(message, field):
    "Return the same refusal in the formats of several providers."
    return [
        (
            400,
            {
                "error": {
                    "message": message,
                    "type": "invalid_request_error",
                    "param": field,
                    "code": "unsupported_parameter",
                }
            },
            None,
        ),
        (
            400,
            {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}},
            None,
        ),
        (400, {"type": "error", "error": {"type": "invalid_request_error", "message": message}}, None),
        (
            400,
            {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400},
            None,
        ),
        (400, [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}], None),
        (422, {"detail": message}, None),
        (400, {"message": message}, None),
        (400, {"error": message}, None),
        (400, message.encode(), "text/plain"),
    ]


WANTED = {
    "top_p": 0.9,
    "stop": ["#"],
    "seed": 1,
    "logprobs": True,
    "top_logprobs": 8,
    "response_format": {"type": "json_object"},
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"1": 1},
}


@pytest.mark.parametrize("dialect", range(9))
@pytest.mark.parametrize("field, words", REFUSED)
def test_a_refused_option_is_left_out_remembered_and_noted(endpoint, field, words, dialect):
    refusal = dialects(words, field)[dialect]
    script = refusing(field, refusal)
    options = {"extra": WANTED, "model": f"m-{field}"}
    first = row_of(endpoint, script, **options)
    assert (first.status, first.text) == ("ok", ANSWER), first.error
    assert f"without {field}" in first.settings or f"random_seed for {field}" in first.settings
    assert len(endpoint.asked) == 2
    kept = {"temperature", *WANTED} - {field} - ({"top_logprobs"} if field == "logprobs" else set())
    assert kept <= set(endpoint.asked[-1][2]), "no other option is left out"
    again = row_of(endpoint, script, **options)
    assert again.settings == first.settings and len(endpoint.asked) == 3, "the adapted request comes first"


VALIDATED = [
    {
        "detail": [
            {
                "type": "extra_forbidden",
                "loc": ["body", "stream_options"],
                "msg": "Extra inputs are not permitted",
                "input": {"temperature": 0},
            }
        ]
    },
    {
        "object": "error",
        "message": {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "stream_options"],
                    "msg": "Extra inputs are not permitted",
                }
            ]
        },
        "type": "invalid_request_error",
    },
    {
        "detail": [
            {
                "loc": ["body", "stream_options"],
                "msg": "extra fields not permitted",
                "type": "value_error.extra",
            }
        ]
    },
    {
        "object": "error",
        "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra'}]",
        "code": 400,
    },
    {"error": {"message": "Unknown field: stream_options"}},
    {
        "error": {
            "message": "Unrecognized request argument supplied: stream_options",
            "param": "stream_options",
        }
    },
    {"message": "stream_options is not supported"},
]


@pytest.mark.parametrize("out", VALIDATED)
@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_stream_options_streams_and_tokens_are_estimated(endpoint, out, status):
    def script(body):
        return (
            (status, out, None) if "stream_options" in body else events(delta(content=ANSWER), delta("stop"))
        )

    row = row_of(endpoint, script, stream=True)
    assert (row.status, row.text, row.settings) == ("ok", ANSWER, "without stream_options")
    assert row.usage.estimated and row.usage.output_tokens > 0
    assert endpoint.asked[-1][2]["stream"] is True and endpoint.asked[-1][2]["temperature"] == 0


@pytest.mark.parametrize(
    "words",
    [
        UNSUPPORTED.format("max_tokens") + " Use 'max_completion_tokens' instead.",
        "Unrecognized request argument supplied: max_tokens",
        "max_tokens is deprecated, use max_completion_tokens",
        "this model does not support max_tokens",
    ],
)
def test_the_longest_answer_under_its_other_name(endpoint, words):
    script = refusing("max_tokens", (400, {"error": {"message": words}}, None))
    row = row_of(endpoint, script, max_tokens=50)
    assert (row.status, row.settings) == ("ok", "max_completion_tokens for max_tokens")
    assert endpoint.asked[-1][2]["max_completion_tokens"] == 50


def test_the_new_name_may_be_the_refused_one(endpoint):
    words = "Extra inputs are not permitted: max_completion_tokens. Use max_tokens."
    script = refusing("max_completion_tokens", (422, {"message": words}, None))
    row = row_of(endpoint, script, extra={"max_completion_tokens": 50})
    assert (row.status, endpoint.asked[-1][2]["max_tokens"]) == ("ok", 50)


def test_one_option_after_the_other_until_the_endpoint_is_content(endpoint):
    def script(body):
        for name in ("temperature", "max_tokens", "seed", "logprobs"):
            if name in body:
                return 400, {"error": {"message": UNSUPPORTED.format(name)}}, None
        return said(ANSWER)

    row = row_of(endpoint, script, max_tokens=9, extra={"seed": 1, "logprobs": True})
    assert row.status == "ok" and len(endpoint.asked) == 5
    for word in (
        "without temperature",
        "max_completion_tokens for max_tokens",
        "without seed",
        "without logprobs",
    ):
        assert word in row.settings


def test_an_endpoint_that_refuses_everything_is_not_asked_for_ever(endpoint):
    def script(body):
        named = ", ".join(f"'{name}'" for name in body if name != "model")
        return 400, {"error": {"message": f"Unsupported parameters: {named}"}}, None

    row = row_of(endpoint, script, max_tokens=9)
    assert row.status == "api_error" and len(endpoint.asked) <= 5


def test_two_names_that_refuse_each_other_end(endpoint):
    def script(body):
        name, other = ("max_tokens", "max_completion_tokens")[:: 1 if "max_tokens" in body else -1]
        return 400, {"error": {"message": f"'{name}' is not supported. Use '{other}' instead."}}, None

    row = row_of(endpoint, script, max_tokens=9)
    assert row.status == "api_error" and len(endpoint.asked) <= 4


SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    "words, form",
    [
        (
            "'response_format' of type 'json_schema' is not supported with this model.",
            {"type": "json_object"},
        ),
        (
            "Failed: response_format: unknown variant `json_schema`, expected `text` or `json_object`",
            {"type": "json_object"},
        ),
        ("This model does not support structured outputs", {"type": "json_object"}),
        ("Unknown field: response_format", None),
        ("response_format: Extra inputs are not permitted", None),
    ],
)
def test_a_schema_that_is_refused_is_asked_for_as_json(endpoint, words, form):
    def script(body):
        refused = body.get("response_format", form) != form
        return (400, {"error": {"message": words}}, None) if refused else said("{}")

    row = row_of(endpoint, script, extra={"response_format": SCHEMA})
    assert row.status == "ok" and endpoint.asked[-1][2].get("response_format") == form
    assert row.settings == ("response_format as json_object" if form else "without response_format")


def test_temperature_zero_where_it_must_be_positive(endpoint):
    words = {
        "error": "Input validation error: `temperature` must be strictly positive",
        "error_type": "validation",
    }
    row = row_of(endpoint, lambda body: (422, words, None) if body["temperature"] == 0 else said(ANSWER))
    assert (row.status, row.settings) == ("ok", "temperature 0.01 for 0")


def test_a_model_that_may_not_be_streamed_answers_as_a_whole(endpoint):
    words = {
        "message": "Your organization must be verified to stream this model.",
        "param": "stream",
        "code": "unsupported_value",
    }
    script = refusing("stream", (400, {"error": words}, None))
    row = row_of(endpoint, script, stream=True)
    assert (row.status, row.text) == ("ok", ANSWER) and "without stream" in row.settings


@pytest.mark.parametrize(
    "status, words",
    [
        (400, "max_tokens is too large: 500000. This model supports at most 16384 completion tokens."),
        (
            400,
            "The maximum context length is 4096. You asked for 5000 (4500 in messages, 500 in max_tokens).",
        ),
        (400, "temperature must be less than or equal to 2"),
        (400, "temperature: Input should be less than or equal to 1"),
        (400, "Invalid 'top_p': decimal above maximum value. Expected a value <= 1, but got 3."),
        (404, "The model `m` does not exist or you do not have access to it."),
        (400, "Unsupported model: m"),
        (400, "messages: content of type image_url is not supported"),
        (401, "Incorrect API key provided"),
        (403, "'temperature' is not supported"),
        (400, "Please stop sending unsupported requests."),
        (400, "prompt is too long"),
        (400, ""),
    ],
)
def test_what_is_no_refusal_of_an_option_stays_an_error(endpoint, status, words):
    row = row_of(
        endpoint,
        (status, {"error": {"message": words}}, None),
        max_tokens=9,
        extra={"top_p": 3, "stop": ["#"]},
    )
    assert row.status == "api_error" and len(endpoint.asked) == 1
    assert words[:40] in row.error


def test_what_one_model_refuses_is_sent_to_another(endpoint):
    refused = refusing("temperature", (400, {"error": {"message": UNSUPPORTED.format("temperature")}}, None))

    def script(body):
        return refused(body) if body["model"] == "o" else said(ANSWER)

    rows = [row_of(endpoint, script, model=m) for m in ("o", "m")]
    assert [r.settings for r in rows] == ["without temperature", None]


def test_a_failure_behind_a_refusal_still_tells_and_remembers_nothing_wrong(endpoint):
    script = [
        (400, {"error": {"message": UNSUPPORTED.format("temperature")}}, None),
        (401, {"error": "no"}, None),
    ]
    row = row_of(endpoint, script)
    assert row.status == "api_error" and "HTTP 401" in row.error


def test_what_providers_are_known_to_refuse_is_not_sent(endpoint, monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    row = row_of(endpoint, said("{}"), provider="mistral", stream=False, extra={"seed": 3, "logprobs": True})
    assert row.status == "ok" and len(endpoint.asked) == 1
    assert endpoint.asked[0][2].get("random_seed") == 3 and "logprobs" not in endpoint.asked[0][2]


@pytest.mark.parametrize(
    "name, form",
    [
        ("cohere", {"type": "json_object", "schema": {"type": "object"}}),
        ("deepseek", {"type": "json_object"}),
        ("anthropic", None),
        ("openai", SCHEMA),
        ("groq", SCHEMA),
    ],
)
def test_a_structured_reply_in_the_providers_dialect(endpoint, name, form):
    assert name in providers()
    row = row_of(endpoint, said("{}"), provider=name, extra={"response_format": SCHEMA})
    assert row.status == "ok" and endpoint.asked[0][2].get("response_format") == form


def test_a_run_from_the_command_line_with_a_model_that_refuses_both(endpoint, tmp_path, monkeypatch):
    from crmeval.cli.app import main
    from crmeval.runs.folder import open_run

    def script(body):
        for name in ("temperature", "max_tokens"):
            if name in body:
                return 400, {"error": {"message": UNSUPPORTED.format(name)}}, None
        return said(ANSWER)

    endpoint.script = script
    monkeypatch.setenv("OPENAI_API_KEY", "k-4242")
    words = f"run --model openai:o9 --base-url {endpoint.url} --use-case service_call_summary --limit 1"
    words += " --temperature 1 --max-tokens 100 --no-progress"
    assert main([*words.split(), "--out", str(tmp_path / "r")]) in (0, None)
    (row,) = open_run(tmp_path / "r").responses
    assert row.status == "ok" and "without temperature" in row.settings


# A 200 without an answer

NO_ANSWER = [
    (said(None), "parse_error", "the text is empty"),
    (said(""), "parse_error", "the text is empty"),
    (said(" \n\t"), "parse_error", "the text is empty"),
    (said([]), "parse_error", "the text is empty"),
    (said("", reasoning_content=THOUGHT), "parse_error", "of reasoning and no text"),
    (said(None, reasoning=THOUGHT), "parse_error", "of reasoning and no text"),
    (said(f"<think>{THOUGHT}</think>"), "parse_error", "of reasoning and no text"),
    (said(f"<think>{THOUGHT}"), "parse_error", "of reasoning and no text"),
    (
        said(None, "tool_calls", tool_calls=[{"id": "1", "function": {"name": "f"}}]),
        "parse_error",
        "called a tool",
    ),
    (said("", "function_call", function_call={"name": "f"}), "parse_error", "called a tool"),
    (said([{"type": "tool_use", "name": "f"}], "tool_use"), "parse_error", "called a tool"),
    (said(None, refusal="I cannot help."), "refused", "I cannot help."),
    (said([{"type": "refusal", "refusal": "I cannot help."}]), "refused", "I cannot help."),
    (said([{"type": "text", "text": "Well"}, {"type": "refusal", "refusal": "No."}]), "refused", "No."),
    (said("The ord", "content_filter"), "refused", "filtered"),
    (said("", "SAFETY"), "refused", "filtered"),
    (said("", "refusal"), "refused", "filtered"),
    (said("", "sensitive"), "refused", "filtered"),
    ({"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}, "refused", "SAFETY"),
    (said("The ord", "error"), "api_error", "finish_reason 'error'"),
    (said("The ord", "abort"), "api_error", "finish_reason 'abort'"),
    (said("The ord", "insufficient_system_resource"), "api_error", "insufficient_system_resource"),
    (said("The ord", "MALFORMED_FUNCTION_CALL"), "api_error", "MALFORMED_FUNCTION_CALL"),
    (said("The ord", "purple"), "parse_error", "'purple' is unknown"),
    ({"error": {"message": "rate limited", "code": "429"}}, "api_error", "rate limited"),
    ({"error": "upstream timed out"}, "api_error", "upstream timed out"),
    ({"object": "error", "message": "no such model", "code": 404}, "api_error", "no such model"),
    (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "api_error",
        "Overloaded",
    ),
    ({"code": 500, "msg": "internal error", "success": False}, "api_error", "internal error"),
    ({"detail": "Not authenticated"}, "api_error", "Not authenticated"),
    ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "api_error", "login fail"),
    ({"error": {"code": "content_filter", "message": "blocked"}}, "refused", "blocked"),
    ({"choices": [{"error": {"code": 502, "message": "provider died"}}]}, "api_error", "provider died"),
    ({**said("The ord"), "error": {"message": "cut short", "code": 502}}, "api_error", "cut short"),
    ({"choices": []}, "parse_error", "not a chat completion"),
    ({"choices": None}, "parse_error", "not a chat completion"),
    ({"choices": [None]}, "parse_error", "not a chat completion"),
    ({"choices": [{"finish_reason": "stop"}]}, "parse_error", "not a chat completion"),
    ({}, "parse_error", "not a chat completion"),
    ([], "parse_error", "not a chat completion"),
    ("hello", "parse_error", "not a chat completion"),
    (said(42), "parse_error", "the answer is int"),
    (said({"a": 1}), "parse_error", "the answer is dict"),
    (
        (200, b"<!DOCTYPE html><html><head><title>Log in</title></head></html>", "text/html"),
        "parse_error",
        "'Log in'",
    ),
    ((200, b"  <html>\n<body>guest network</body></html>", "application/json"), "parse_error", "web page"),
    ((200, b"<HTML><H1>Moved</H1></HTML>", "text/html; charset=utf-8"), "parse_error", "web page"),
    ((200, b"", None), "parse_error", "empty body"),
    ((200, b" \n ", None), "parse_error", "empty body"),
    ((200, b'{"choices": [{"mess', None), "parse_error", "unreadable body"),
    ((200, b"OK", "text/plain"), "parse_error", "unreadable body"),
]


@pytest.mark.parametrize("reply, status, words", NO_ANSWER)
def test_a_200_without_an_answer_is_a_row_with_a_status_and_a_reason(endpoint, reply, status, words):
    row = row_of(endpoint, [reply])
    assert (row.status, row.text) == (status, None), row
    assert words in row.error


STREAMS = [
    (events(delta("stop")), "parse_error", "the text is empty"),
    (events(delta(reasoning_content=THOUGHT), delta("stop")), "parse_error", "of reasoning and no text"),
    (events(delta(content=f"<think>{THOUGHT}"), delta("stop")), "parse_error", "of reasoning and no text"),
    (
        events(delta(tool_calls=[{"index": 0, "function": {"name": "f"}}]), delta("tool_calls")),
        "parse_error",
        "called a tool",
    ),
    (events(delta(refusal="I cannot "), delta(refusal="help."), delta("stop")), "refused", "I cannot help."),
    (events(delta(content="The"), delta("content_filter")), "refused", "filtered"),
    (events(delta(content="The"), delta("error")), "api_error", "finish_reason 'error'"),
    (events(delta(content="The")), "api_error", "broke off"),
    (events(delta(content="The"), done=False), "api_error", "broke off"),
    (events(), "api_error", "broke off"),
    (
        events(delta(content="The"), {"error": {"message": "CUDA died", "code": 500}}),
        "api_error",
        "CUDA died",
    ),
    (events({"error": {"message": "Overloaded"}}), "api_error", "Overloaded"),
    (events(delta(content="The"), "event: error\ndata: out of memory\n\n"), "api_error", "out of memory"),
    (events('event: error\ndata: {"message": "out of memory"}\n\n'), "api_error", "out of memory"),
    (events(delta(content="The"), {"object": "error", "message": "died", "code": 500}), "api_error", "died"),
    (events(delta(content="The"), "data: {oops\n\n"), "parse_error", "unreadable body"),
    (events("data: 3\n\n"), "parse_error", "int"),
    ((200, b"<html><title>Log in</title></html>", "text/html"), "parse_error", "'Log in'"),
    ((200, {"error": {"message": "died", "code": 500}}, None), "api_error", "died"),
    ((200, said(""), None), "parse_error", "the text is empty"),
    ((200, b"", "text/event-stream"), "api_error", "broke off"),
]


@pytest.mark.parametrize("reply, status, words", STREAMS)
def test_a_stream_without_an_answer(endpoint, reply, status, words):
    row = row_of(endpoint, [reply], stream=True)
    assert (row.status, row.text) == (status, None), row
    assert words in row.error


@pytest.mark.parametrize(
    "reply, stream",
    [
        ((200, said(ANSWER), None), True),  # a stream was requested, a whole arrives
        ((200, json.dumps(said(ANSWER), indent=2).encode(), None), True),
        (events(delta(content=ANSWER), delta("stop")), False),  # a whole was requested, a stream arrives
        (events(": PROCESSING\n\n", delta(role="assistant"), delta(content=ANSWER), delta("stop")), True),
        (events(*(f"data:{json.dumps(d)}\r\n\r\n" for d in (delta(content=ANSWER), delta("stop")))), True),
        (
            events(
                f"event: message\nid: 1\ndata: {json.dumps(delta('stop', content=ANSWER))}\n\n", done=False
            ),
            True,
        ),
        ((200, b"\n \n" + json.dumps(said(ANSWER)).encode(), None), False),
        ((200, b"\xef\xbb\xbf" + json.dumps(said(ANSWER)).encode(), None), False),
        ((200, {"choices": [{"text": ANSWER, "finish_reason": "stop"}]}, None), False),
        ((200, said(ANSWER, None), None), False),
        ((200, said(ANSWER, "eos"), None), False),
        ((200, {**said(ANSWER), "error": None, "base_resp": {"status_code": 0}}, None), False),
        ((200, said(ANSWER, "tool_calls", tool_calls=[{}]), None), False),
    ],
)
def test_odd_answers_that_are_answers(endpoint, reply, stream):
    row = row_of(endpoint, [reply], stream=stream)
    assert (row.status, row.text) == ("ok", ANSWER), row.error


@pytest.mark.parametrize(
    "first",
    [
        {"error": {"code": "429", "message": "rate limited"}},
        {"error": {"code": 429, "message": "rate limited"}},
        {"error": {"type": "rate_limit_error", "message": "slow down"}},
        {"error": {"code": "503", "message": "x"}},
        {"error": "The server is overloaded, try again later"},
        said(""),
        said("", reasoning_content=THOUGHT),
        said("The ord", "error"),
        (200, b"<html>proxy</html>", "text/html"),
        {"choices": []},
        (200, b"", None),
    ],
)
def test_what_may_pass_is_tried_again(endpoint, first):
    row = run_row(endpoint, [first, said(ANSWER)])
    assert (row.status, row.text, row.tries) == ("ok", ANSWER, 2)


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": 401, "message": "bad key"}},
        {"error": {"code": "insufficient_quota", "message": "pay first"}},
        {"object": "error", "message": "no such model", "code": 404},
        said(None, "tool_calls", tool_calls=[{}]),
        said(None, refusal="No."),
    ],
)
def test_what_stays_is_asked_once(endpoint, error):
    row = run_row(endpoint, [error, said(ANSWER)])
    assert row.status != "ok" and row.text is None and row.tries == 1


def test_an_answer_that_stays_away_is_a_row_with_its_thoughts_and_tokens(endpoint):
    used = {"usage": {"prompt_tokens": 9, "completion_tokens": 40}}
    row = run_row(endpoint, [{**said("", reasoning_content=THOUGHT), **used}], retries=1)
    assert (row.status, row.text, row.reasoning) == ("parse_error", None, THOUGHT)
    assert row.tries == 2 and "after 2 tries" in row.error and row.usage.output_tokens == 40


ENDINGS = {
    "ok": [
        "stop",
        "STOP",
        "end_turn",
        "eos_token",
        "stop_sequence",
        "COMPLETE",
        "FinishReason.STOP",
        None,
        "",
    ],
    "truncated": [
        "length",
        "max_tokens",
        "MAX_TOKENS",
        "model_length",
        "max_output_tokens",
        "FINISH_REASON_MAX_TOKENS",
    ],
    "refused": [
        "content_filter",
        "content-filter",
        "SAFETY",
        "RECITATION",
        "guardrail_intervened",
        "refusal",
    ],
    "failed": ["error", "ERROR", "abort", "cancelled", "network_error", "OTHER", "timeout"],
    "unknown": ["purple", "42", "stopp"],
}


@pytest.mark.parametrize("kind, word", [(k, w) for k, words in ENDINGS.items() for w in words])
def test_why_an_answer_ended(kind, word):
    assert ending(word) == kind


# Addresses, headers, proxies


def test_an_error_names_the_address_without_key_or_query(endpoint):
    endpoint.script = [(404, b"404 page not found", "text/plain")]
    host = endpoint.url.removesuffix("/v1")
    row = row_of(
        endpoint, endpoint.script, base_url=host.replace("://", "://ann:secret-word@") + "?api-key=secret"
    )
    assert f"{host}/chat/completions" in row.error and "/v1 may be missing" in row.error
    assert "secret" not in row.error


@pytest.mark.parametrize("tail", ["", "/", "/chat/completions", "/chat/completions/", "/completions"])
def test_the_address_may_be_the_whole_path(endpoint, tail):
    row = row_of(endpoint, said(ANSWER), base_url=endpoint.url + tail)
    assert row.status == "ok" and endpoint.asked[0][0] == "/v1/chat/completions"


@pytest.mark.parametrize(
    "reply, hint",
    [
        ((404, b"not found", "text/plain"), True),
        ((405, b"", None), True),
        ((200, b"<html><title>Welcome</title></html>", "text/html"), True),
        ((401, b"{}", None), False),
    ],
)
def test_the_hint_comes_where_the_version_is_missing_and_the_page_is(endpoint, reply, hint):
    short, whole = (
        row_of(endpoint, reply, base_url=u) for u in (endpoint.url.removesuffix("/v1"), endpoint.url)
    )
    assert ("/v1 may be missing" in short.error) is hint
    assert "/v1 may be missing" not in whole.error and "/v1/chat/completions" in whole.error


def test_a_dead_address_is_named():
    async def ask():
        return await OpenAIClient("m", base_url="http://127.0.0.1:9/v1").answer(SAMPLE, "Hi")

    row = asyncio.run(ask())
    assert row.status == "api_error" and "http://127.0.0.1:9/v1/chat/completions" in row.error


@pytest.mark.parametrize("stream", [False, True])
def test_own_headers_come_from_the_environment_and_are_shown_nowhere(endpoint, monkeypatch, stream):
    monkeypatch.setenv("TEAM_TOKEN", "team-secret-424242")
    reply = (401, {"error": {"message": "wrong: team-secret-424242"}}, None)
    options = {"base_url": endpoint.url, "headers": {"X-Team": "TEAM_TOKEN"}, "stream": stream}
    row = row_of(endpoint, reply, **options)
    assert endpoint.asked[0][1]["X-Team"] == "team-secret-424242"
    client = OpenAIClient("m", **options)
    shown = f"{row} {client!r} {client.settings()} {vars(client)}"
    assert "team-secret" not in shown and "[removed]" in row.error and "TEAM_TOKEN" in str(client.settings())


def test_own_headers_may_replace_the_key(endpoint, monkeypatch):
    monkeypatch.setenv("AZ", "the-key-of-azure-42")
    row_of(endpoint, said(ANSWER), headers={"authorization": "AZ", "api-key": "AZ"})
    sent = {k.lower(): v for k, v in endpoint.asked[0][1].items()}
    assert sent["authorization"] == sent["api-key"] == "the-key-of-azure-42"


def test_headers_through_a_line_and_a_plan(endpoint, monkeypatch):
    from crmeval.runs.evaluation import client_options
    from crmeval.runs.plan import make_plan

    monkeypatch.setenv("TEAM_TOKEN", "team-secret-424242")
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    plan = make_plan(client_options={"headers": {"X-Team": "TEAM_TOKEN"}})
    for line in ("openai:m", "mistral:m", "vllm:m@http://127.0.0.1:9/v1"):
        client = make_client(line, base_url=endpoint.url, **client_options(plan))
        assert client.settings()["headers"] == {"X-Team": "TEAM_TOKEN"}


def test_openais_own_headers_go_to_no_one_else(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-42")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-42")
    row_of(endpoint, said(ANSWER))
    assert not [k for k in endpoint.asked[0][1] if k.lower().startswith("openai")]


FAR = {"HTTP_PROXY": "http://proxy:3128", "HTTPS_PROXY": "http://proxy:3129"}
DIRECT = [
    ("localhost", "http://localhost:11434/v1"),
    ("", "http://127.0.0.1:8000/v1"),
    ("", "http://127.1.2.3/v1"),
    ("", "http://[::1]:8000/v1"),
    ("", "http://LOCALHOST/v1"),
    ("127.0.0.0/8", "http://127.0.0.1:9/v1"),
    ("10.0.0.0/8", "http://10.20.30.40/v1"),
    ("192.168.0.0/16,10.0.0.0/8", "https://192.168.7.7:8443/v1"),
    ("10.20.30.40", "http://10.20.30.40:8000/v1"),
    ("10.20.30.40:8000", "http://10.20.30.40:8000/v1"),
    ("fd00::/8", "http://[fd12:3456::1]:8000/v1"),
    ("[fd12:3456::1]", "http://[fd12:3456::1]/v1"),
    ("[fd12:3456::1]:8000", "http://[fd12:3456::1]:8000/v1"),
    ("fd12:3456:0:0::1", "http://[fd12:3456::1]/v1"),
    ("llm.intern", "http://llm.intern/v1"),
    ("LLM.Intern", "http://llm.intern/v1"),
    (".intern", "http://llm.intern/v1"),
    ("intern", "http://llm.intern/v1"),
    ("*.intern", "http://a.llm.intern/v1"),
    ("intern.", "http://llm.intern/v1"),
    ("*", "https://llm.example.com/v1"),
    ("a.b, *", "https://llm.example.com/v1"),
    ("a.b llm.intern", "http://llm.intern/v1"),
    ("llm.intern:443", "https://llm.intern/v1"),
    ("llm.intern:80", "http://llm.intern/v1"),
    ("http://llm.intern", "http://llm.intern/v1"),
]
PROXIED = [
    ("", "http://llm.intern/v1"),
    ("ern", "http://llm.intern/v1"),
    ("other.intern", "http://llm.intern/v1"),
    ("llm.intern.example", "http://llm.intern/v1"),
    ("llm.intern:8000", "http://llm.intern:8001/v1"),
    ("10.0.0.0/8", "http://11.0.0.1/v1"),
    ("10.0.0.0/8", "http://ten.intern/v1"),
    ("10.0.0.0/99,[::", "http://10.0.0.1/v1"),
    ("fd00::/8", "http://[fe00::1]/v1"),
    ("localhost,127.0.0.1", "http://llm.intern/v1"),
    ("10.1.1.1", "http://10.1.1.11/v1"),
]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("entry, url", DIRECT)
def test_no_proxy_in_its_forms(entry, url, name):
    assert proxy_of(url, {**FAR, name: entry}) is None


@pytest.mark.parametrize("entry, url", PROXIED)
def test_what_no_proxy_does_not_mean(entry, url):
    assert proxy_of(url, {**FAR, "no_proxy": entry}) == (
        "http://proxy:3129" if "https" in url else "http://proxy:3128"
    )


def test_proxies_by_other_names():
    assert proxy_of("http://llm.intern/v1", {"all_proxy": "proxy:1"}) == "http://proxy:1"
    assert (
        proxy_of("http://llm.intern/v1", {"http_proxy": "http://small", "HTTP_PROXY": "http://big"})
        == "http://small"
    )
    assert proxy_of("http://llm.intern/v1", {}) is None


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_read_is_blamed_before_anything_is_sent(name, no_proxies, monkeypatch):
    monkeypatch.setenv(name, "http://user:hunter22@proxy:80:80")
    with pytest.raises(
        ValueError, match=f"^{name} is 'http://proxy:80:80', expected the address of a proxy"
    ) as e:
        OpenAIClient("m", base_url="https://llm.example.com/v1")
    assert "hunter22" not in str(e.value) and "base" not in str(e.value)
    OpenAIClient("m", base_url="http://127.0.0.1:9/v1")  # reached without the proxy


@pytest.mark.parametrize(
    "proxy", ["http://user:hunter22@127.0.0.1:9", "http://user:hunter22@proxy.invalid:1"]
)
def test_a_proxy_that_cannot_be_reached_is_named_with_its_variable(proxy, no_proxies, monkeypatch):
    from crmeval.runs.opening import why_hopeless

    monkeypatch.setenv("HTTPS_PROXY", proxy)
    client = OpenAIClient("m", base_url="https://llm.example.com/v1", timeout_s=20)

    async def asked():
        try:
            with pytest.raises(CallFailed) as e:
                await client.chat("hello")
            return e.value
        finally:
            await client.aclose()

    failure = asyncio.run(asked())
    assert f"at the proxy http://{proxy.rpartition('@')[2]} of HTTPS_PROXY (asked: https://llm" in str(
        failure
    )
    assert why_hopeless(failure).startswith("the proxy that HTTPS_PROXY names cannot be reached")
    assert "hunter22" not in str(failure) and "base-url" not in why_hopeless(failure)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_asks_this_machine_directly(endpoint, monkeypatch, stream):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "nobody.example")
    reply = events(delta(content=ANSWER), delta("stop")) if stream else said(ANSWER)
    assert row_of(endpoint, reply, stream=stream).status == "ok"


# One set of providers for systems, judges and speed


@pytest.mark.parametrize("name", [n for n in providers() if n not in ("openai", "azure", "bedrock")])
def test_every_provider_makes_a_client_and_a_judge(name, monkeypatch):
    for variable in providers()[name].api_key_env:
        monkeypatch.setenv(variable, "k-4242-4242")
    client, judge = make_client(f"{name}:m"), make_judge(f"{name}:m", style="rubric", retries=1)
    assert client.name == f"{name}:m" and judge.name == f"{name}:m (rubric)"
    assert judge.client.base_url == client.base_url and judge.client.provider == client.provider


def test_speed_takes_any_provider(endpoint, monkeypatch, capsys):
    from crmeval.cli.app import main

    endpoint.script = [said(ANSWER)]
    words = f"speed --model vllm:m@{endpoint.url} --calls 2 --warmup 0 --shape short"
    assert main(words.split()) in (0, None)
    assert len(endpoint.asked) == 2 and "vllm:m@" in capsys.readouterr().out


def test_a_refusal_is_read_without_time_to_lose():
    for text in ("'" * 50_000, "temperature " * 5_000, "[loc: " * 9_000, "not supported " * 4_000):
        start = time.process_time()
        read_refusal(
            CallFailed("x", http_status=400, body=text), {"temperature": 0, "stop": ["#"], "seed": 1}
        )
        assert cpu_since(start) < 1
    assert Change("a") == Change("a", None)


@pytest.mark.parametrize(
    "words",
    [
        ["--model", "anthropic:claude-x", "--base-url", "URL"],
        ["--model", "mistral:m", "--model", "baseline:lead", "--api-key-env", "MINE"],
        ["--model", "trusted:groq:m", "--base-url", "URL"],
        ["--model", "baseline:lead", "--judge", "anthropic:claude-x", "--judge-base-url", "URL"],
        ["--model", "openai:good", "--base-url", "URL", "--judge", "groq:g", "--judge-api-key-env", "MINE"],
    ],
)
def test_an_address_that_no_line_takes_is_told(words, server, tmp_path, capsys, monkeypatch):
    "With a provider's line the address of a custom gateway would have no effect, so it is an error."
    command = [server.url if w == "URL" else w for w in words]
    assert main(["run", *command, "--limit", "1", "--out", str(tmp_path / "r"), "--no-progress"]) == 2
    err = capsys.readouterr().err
    assert "changes nothing: only openai: lines take it" in err and "provider's own" in err
    assert not (tmp_path / "r").exists() and not server.bodies
    monkeypatch.setenv("MISTRAL_API_KEY", "invented")
    with pytest.raises(ValueError, match="only openai: lines take it"):
        run(["mistral:m"], base_url=server.url, out=tmp_path / "p", limit=1, progress=False)
