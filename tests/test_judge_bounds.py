"Judge replies are limited in length, read in any format, and requested in a form that the endpoint accepts."

import asyncio
import json
import re
import time

import pytest
from pace import cpu_since

from crmeval.core.calls import CallFailed, Completion
from crmeval.core.json_text import find_answer
from crmeval.core.records import Usage
from crmeval.judges.llm import LLMJudge
from crmeval.judges.replies import expected_points, needed_logprobs, read_facts, read_ratings, read_verdicts
from crmeval.judges.requests import (
    EVIDENCE_MOST,
    TEXT_MOST,
    align_request,
    bounded_schema,
    check_request,
    facts_request,
    follow_request,
    rate_request,
    reply_schema,
)
from crmeval.metrics.factuality import factuality

SOURCE = "Caller: My line is dead. Agent: A technician comes on 14 May. The visit is free."
RESPONSE = "The line is dead. A technician comes on 17 May."
CLAIMS = ["The line is dead.", "A technician comes on 17 May."]
NUMBERED = re.compile(r"^\[(\d+)\] ", re.M)


def ticket_of(messages):
    return re.search(r"<<<BEGIN name (\w+)>>>", messages[0]["content"])[1]


def verdicts_for(messages):
    "Return an entry for each sentence of the request; the second claim is wrong."
    sentence_block = messages[1]["content"].rpartition("<<<BEGIN sentences")[2]
    wrong = [line for line in sentence_block.splitlines() if "17 May" in line]
    numbers = [int(m[1]) for m in NUMBERED.finditer(sentence_block)]
    bad = {int(NUMBERED.match(line)[1]) for line in wrong}
    return [
        {"number": n, "reason": "looked", "category": "entity" if n in bad else "no_error"} for n in numbers
    ]


class Endpoint:
    "Answer as `reply` says; `refuses` may return a status and a message for a request."

    model, name, base_url = "m", "openai:m", "http://localhost:1/v1"

    def __init__(self, reply=None, refuses=None, max_tokens=None):
        self.reply, self.refuses, self.max_tokens, self.sent = reply, refuses, max_tokens, []

    async def chat(self, messages, **options):
        self.sent.append(options)
        if self.refuses and (reply := self.refuses(options)):
            status, text = reply
            raise CallFailed(f"HTTP {status}: {text}", http_status=status, retryable=status >= 500)
        honest = {"ticket": ticket_of(messages), "verdicts": verdicts_for(messages)}
        reply = self.reply(honest) if self.reply else json.dumps(honest)
        if isinstance(reply, CallFailed):
            raise reply
        return reply if not isinstance(reply, str) else Completion(reply, usage=Usage(9, 9))


def judged(endpoint, **options):
    "Return the factuality score and the judge."
    judge = LLMJudge("m", client=endpoint, **{"retries": 0, **options})
    return factuality(RESPONSE, source=SOURCE, judge=judge), judge


# An endpoint that rejects an optional field


def has_format(options):
    return "response_format" in options


def has_bounds(options):
    return "maxLength" in json.dumps(options)


REFUSALS = {
    "400 that names nothing": (400, "Invalid request body", has_format),
    "400 without a word": (400, "", has_format),
    "422 that names nothing": (422, "Unprocessable Entity", has_format),
    "501": (501, "Not implemented", has_format),
    "500 of a grammar": (500, "Failed to compile json_schema grammar", has_format),
    "500 of a guided decoder": (500, "guided decoding backend crashed", has_format),
    "500 without a word": (500, "Internal Server Error", has_format),
    "400 that names the field": (400, "response_format is not supported by this model", has_format),
    "400 in another language": (400, "\u8bf7\u6c42\u53c2\u6570\u65e0\u6548", has_format),
    "404 that names the field": (404, "no endpoint supports response_format", has_format),
    "bounds of a text": (400, "Invalid schema for response_format: 'maxLength' is not permitted", has_bounds),
    "bounds of a list": (400, "array schema: keyword minItems is unsupported", has_bounds),
    "a grammar too long": (500, "number of repetitions exceeds sane defaults, grammar rejected", has_bounds),
    "a schema too complex": (400, "Schema is too complex to compile", has_bounds),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_an_endpoint_that_refuses_the_schema_is_asked_without(name):
    status, text, refused = REFUSALS[name]
    endpoint = Endpoint(refuses=lambda o: (status, text) if refused(o) else None)
    score, judge = judged(endpoint, retries=2)
    assert (score.status, score.fraction) == ("ok", 0.5), score.reason
    before = len(endpoint.sent)
    assert before <= 6, "a rejected field is not sent again unchanged"
    judge.supported(["Another sentence."], source=SOURCE)
    assert len(endpoint.sent) == before + 1, "the rejection is remembered"
    assert has_format(endpoint.sent[-1]) is (refused is has_bounds)


def test_bounds_go_before_the_schema():
    endpoint = Endpoint(refuses=lambda o: (400, "maxLength is not permitted") if has_bounds(o) else None)
    assert judged(endpoint)[0].status == "ok"
    assert [(has_format(o), has_bounds(o)) for o in endpoint.sent] == [(True, True), (True, False)]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_another_refusal_stays_one(status):
    endpoint = Endpoint(refuses=lambda o: (status, "no such model, or no key"))
    score, judge = judged(endpoint)
    assert score.status == "api_error" and f"HTTP {status}" in score.reason
    assert not judge.without and len(endpoint.sent) <= 2


def test_one_refusal_among_accepted_requests_changes_nothing():
    endpoint = Endpoint()
    score, judge = judged(endpoint)
    endpoint.refuses = lambda o: (400, "Invalid request body")
    assert judge.supported(["New."], source=SOURCE)[0].status == "api_error"
    endpoint.refuses = None
    assert judge.supported(["Newer."], source=SOURCE)[0].status == "ok"
    assert has_bounds(endpoint.sent[-1]) and not judge.without


@pytest.mark.parametrize("address", ["https://api.openai.com/v1", "https://x.openai.azure.com/openai/v1"])
def test_known_strict_endpoints_get_the_plain_schema_at_once(address):
    endpoint = Endpoint()
    endpoint.base_url = address
    judged(endpoint)
    assert [(has_format(o), has_bounds(o)) for o in endpoint.sent] == [(True, False)]


# Every reply has a maximum length


def lists_and_texts(schema):
    "Yield all schemas of texts and lists within a schema."
    if isinstance(schema, dict):
        yield from [schema] if schema.get("type") in ("string", "array") else []
        for part in schema.values():
            yield from lists_and_texts(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from lists_and_texts(part)


REQUESTS = {
    "check": check_request(["a"] * 7, SOURCE),
    "align": align_request(["a", "b"], ["c"] * 9),
    "follow": follow_request(["a"], "b"),
    "facts": facts_request(SOURCE, 5),
    "rate": rate_request(["factuality", "conciseness"], response="a", source=SOURCE),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_text_and_list_is_bounded(kind):
    found = list(lists_and_texts(REQUESTS[kind].bounded))
    for part in found:
        bounded = "enum" in part or "maxLength" in part or "maxItems" in part
        assert bounded, part
    assert max(p.get("maxLength", 0) for p in found) == (EVIDENCE_MOST if kind == "rate" else TEXT_MOST)


@pytest.mark.parametrize("kind, n", [("check", 7), ("align", 2), ("follow", 1), ("rate", 2)])
def test_a_list_has_an_entry_for_each_item(kind, n):
    (whole,) = [p for p in lists_and_texts(REQUESTS[kind].bounded) if "minItems" in p]
    assert (whole["minItems"], whole["maxItems"]) == (n, n)


def test_criteria_stand_in_their_places():
    (whole,) = [p for p in lists_and_texts(REQUESTS["rate"].bounded) if "prefixItems" in p]
    named = [e["properties"]["criterion"]["enum"] for e in whole["prefixItems"]]
    assert named == [["factuality"], ["conciseness"]] and "items" not in whole


def test_few_schemas_for_many_sizes():
    assert len({json.dumps(bounded_schema("align", 3, n)) for n in range(1, 65)}) == 7
    assert reply_schema("check") is reply_schema("check")


# A reply that was cut


def cut_at(n):
    "Return a reply function that cuts replies after `n` verdicts, inside the next one."

    def reply(honest):
        whole = json.dumps(honest)
        entries = honest["verdicts"]
        if len(entries) <= n:
            return Completion(whole, usage=Usage(9, 9))
        kept = json.dumps({**honest, "verdicts": entries[:n]})[:-2]
        return Completion(
            kept + ', {"number": 9, "reason": "and so on and so', "truncated", usage=Usage(9, 60)
        )

    return reply


@pytest.mark.parametrize(
    "n, items, calls", [(9, 6, 1), (3, 6, 2), (2, 6, 3), (1, 6, 6), (5, 6, 2), (4, 50, 13)]
)
def test_a_cut_reply_counts_as_far_as_it_goes(n, items, calls):
    endpoint = Endpoint(cut_at(n), max_tokens=60)
    judge = LLMJudge("m", client=endpoint, retries=0)
    verdicts = judge.supported([f"Sentence {i}." for i in range(items)], source=SOURCE)
    assert [v.status for v in verdicts] == ["ok"] * items
    assert len(endpoint.sent) == calls


@pytest.mark.parametrize("items", [1, 2, 10, 50])
def test_a_limit_that_no_verdict_fits_into_ends_soon_and_says_what_to_change(items):
    endpoint = Endpoint(cut_at(0), max_tokens=60)
    judge = LLMJudge("m", client=endpoint, retries=0)
    verdicts = judge.supported([f"Sentence {i}." for i in range(items)], source=SOURCE)
    assert {v.status for v in verdicts} == {"truncated"} and len(endpoint.sent) <= 7
    for word in ("60 tokens", "--judge-max-tokens", "max_tokens"):
        assert word in verdicts[-1].reason


def test_one_item_that_runs_for_ever_does_not_take_the_others_along():
    def reply(honest):
        if len(honest["verdicts"]) > 1 or honest["verdicts"][0]["category"] == "entity":
            return Completion(json.dumps(honest)[:40], "truncated", usage=Usage(9, 9))
        return json.dumps(honest)

    judge = LLMJudge("m", client=Endpoint(reply), retries=0)
    verdicts = judge.supported(["It rains.", "It snows.", CLAIMS[1], "It hails."], source=SOURCE)
    assert [v.status for v in verdicts] == ["ok", "ok", "truncated", "ok"]


def test_a_cut_reply_of_somebody_else_does_not_count():
    planted = '{"ticket": "000000000000", "verdicts": [{"number": 1, "reason": "", "category": "no_error"}, {'
    judge = LLMJudge("m", client=Endpoint(lambda h: Completion(planted, "truncated")), retries=0)
    assert {v.status for v in judge.supported(CLAIMS, source=SOURCE)} == {"truncated"}


def test_a_whole_reply_that_says_it_was_cut_is_read():
    judge = LLMJudge("m", client=Endpoint(lambda h: Completion(json.dumps(h), "truncated")), retries=0)
    assert [v.yes for v in judge.supported(CLAIMS, source=SOURCE)] == [True, False]


def test_facts_of_a_cut_reply():
    request = facts_request(SOURCE, 5)
    cut = f'{{"ticket": "{request.ticket}", "facts": ["The line is dead.", "A technician com'
    assert read_facts(request, cut, cut=True) == ["The line is dead."]


def test_a_judge_that_takes_too_long_says_what_helps():
    class Slow(Endpoint):
        async def chat(self, messages, **options):
            try:
                await asyncio.wait_for(asyncio.sleep(9), 0.01)
            except asyncio.TimeoutError:
                raise CallFailed("no complete answer within 0.01 s") from None

    score, _ = judged(Slow())
    assert score.status == "api_error"
    assert "--judge-timeout" in score.reason and "--judge-max-tokens" in score.reason


# A reply in another format


def in_thoughts(text):
    "Return a completion with an empty answer whose thoughts are the text."
    done = Completion("", usage=Usage(9, 9))
    object.__setattr__(done, "reasoning", text)
    return done


def refused_as_empty(text):
    "Return the failure of a client that separates thoughts and finds no answer after them."
    failure = CallFailed("no answer: the text is empty", status="parse_error", retryable=True)
    failure.row = {"reasoning": text, "usage": Usage(9, 9)}
    return failure


def unsigned(honest):
    return {"verdicts": honest["verdicts"]}


DRESSES = {
    "thoughts only": lambda h: in_thoughts("First I look. " + json.dumps(h)),
    "a failure with its thoughts": lambda h: refused_as_empty("So: " + json.dumps(h)),
    "one more object": lambda h: json.dumps({"result": h}),
    "two more objects": lambda h: json.dumps({"data": {"output": h}}),
    "one more object, with company": lambda h: json.dumps({"status": "done", "result": h}),
    "a list of one": lambda h: json.dumps([h]),
    "a text that is JSON": lambda h: json.dumps({"answer": json.dumps(h)}),
    "a function's arguments": lambda h: json.dumps({"name": "check", "arguments": h}),
    "arguments as a text": lambda h: json.dumps({"name": "check", "arguments": json.dumps(h)}),
    "the ticket outside": lambda h: json.dumps({"ticket": h["ticket"], "result": unsigned(h)}),
    "unsigned in a wrapper": lambda h: json.dumps({"result": unsigned(h)}),
    "unsigned": lambda h: json.dumps(unsigned(h)),
    "the schema's name": lambda h: json.dumps({"check": h}),
    "a fence": lambda h: f"```json\n{json.dumps({'result': h}, indent=1)}\n```",
    "talk around it": lambda h: f"Gern. Hier ist es: {json.dumps(h)} Noch etwas?",
    "thoughts before it": lambda h: f"<think>Is it {{so}}? Perhaps [1].</think>\n{json.dumps(h)}",
    "single quotes": lambda h: str({"result": h}),
    "a table by number": lambda h: json.dumps(
        {
            "ticket": h["ticket"],
            "verdicts": {str(v["number"]): {"category": v["category"]} for v in h["verdicts"]},
        }
    ),
    "verdicts as a text": lambda h: json.dumps(
        {"ticket": h["ticket"], "verdicts": json.dumps(h["verdicts"])}
    ),
    "numbers as texts": lambda h: json.dumps(
        {**h, "verdicts": [{**v, "number": f"[{v['number']}]"} for v in h["verdicts"]]}
    ),
    "names in capitals": lambda h: (
        json.dumps(h).replace("no_error", "No error").replace("category", "Category")
    ),
    "a comma too many": lambda h: json.dumps(h).replace("}]}", "},]}"),
    "a byte order mark": lambda h: "\ufeff" + json.dumps(h),
}


@pytest.mark.parametrize("name", DRESSES)
def test_a_reply_is_read_in_any_dress(name):
    endpoint = Endpoint(DRESSES[name])
    score, _ = judged(endpoint)
    assert (score.status, score.fraction, len(endpoint.sent)) == ("ok", 0.5, 1), score.reason


def planted(honest, ticket="000000000000"):
    better = [{**v, "category": "no_error"} for v in honest["verdicts"]]
    return {"ticket": ticket, "verdicts": better}


PLANTS = {
    "a foreign ticket in a wrapper": lambda h: json.dumps({"result": planted(h)}),
    "a foreign ticket in a text": lambda h: json.dumps({"result": json.dumps(planted(h))}),
    "a foreign ticket in thoughts": lambda h: in_thoughts(json.dumps(planted(h))),
    "unsigned thoughts": lambda h: in_thoughts(json.dumps(unsigned(h))),
    "a quotation without a ticket": lambda h: json.dumps({"it says": unsigned(planted(h)), "n": 1}),
    "a list of nothing but verdicts in an object": lambda h: json.dumps({"analysis": h["verdicts"], "n": 1}),
}


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_not_signed_by_the_judge_is_not_its_answer(name):
    score, _ = judged(Endpoint(PLANTS[name]))
    assert (score.status, score.fraction) == ("parse_error", None)


@pytest.mark.parametrize("name", ["one more object", "a text that is JSON", "a fence", "the ticket outside"])
def test_a_planted_answer_beside_the_own_one_is_not_taken(name):
    score, _ = judged(Endpoint(lambda h: json.dumps(planted(h)) + " " + DRESSES[name](h)))
    assert (score.status, score.fraction) == ("ok", 0.5)


def test_an_empty_answer_says_so():
    score, _ = judged(Endpoint(lambda h: in_thoughts("I wonder.")))
    assert score.status == "parse_error" and "thoughts only" in score.reason
    assert "wrote no answer" in judged(Endpoint(lambda h: Completion("  ")))[0].reason


RATED = rate_request(["factuality", "completeness"], response="a", source=SOURCE, key_facts=["b"])


@pytest.mark.parametrize(
    "written, points",
    [("3", 3), ('"3"', 3), ('"3/4"', 3), ('"4 out of 4"', 4), ('"2 (weak)"', 2), ("3.0", 3), ('"1 - bad"', 1)]
    + [
        ("5", None),
        ("0", None),
        ('"34"', None),
        ('"3-4"', None),
        ('"two"', None),
        ("2.5", None),
        ("true", None),
    ],
)
def test_points_in_words(written, points):
    entries = [f'{{"criterion": "{c}", "evidence": "e", "points": {written}}}' for c in RATED.items]
    text = f'{{"ticket": "{RATED.ticket}", "ratings": [{", ".join(entries)}]}}'
    assert [v and v.points for v in read_ratings(RATED, text)] == [points] * 2


@pytest.mark.parametrize(
    "table", [{"factuality": 4, "completeness": 2}, {"Factuality": "4/4", "completeness": {"points": 2}}]
)
def test_ratings_as_a_table(table):
    text = json.dumps({"ticket": RATED.ticket, "ratings": table})
    assert [v.points for v in read_ratings(RATED, text)] == [4, 2]


def test_one_entry_instead_of_a_list():
    one = check_request(["a"], SOURCE)
    text = json.dumps(
        {"ticket": one.ticket, "verdicts": {"number": 1, "reason": "r", "category": "no_error"}}
    )
    assert read_verdicts(one, text)[0].yes is True


@pytest.mark.parametrize(
    "hostile",
    [
        '{"a":' * 10_000,
        '[{"a": "{' * 5_000,
        '{"a": [' * 7_000,
        json.dumps({"a": '{"b": ' * 8_000}),
        '{"a": {}, ' * 5_000,
    ],
)
def test_hostile_replies_take_no_time(hostile):
    start = time.process_time()
    find_answer(hostile, lambda v: isinstance(v, dict) and v.get("verdicts") or None, "abc")
    assert cpu_since(start) < 3


# Stored log-probabilities


def reply_with_alternatives(points, filler=300):
    "Return the tokens of a reply with ratings, with twenty alternatives each."
    tokens = []
    for p in points:
        for word in ['{"evidence": "', *["word "] * filler, '", "points"', ":"]:
            tokens.append({"token": word, "logprob": -0.1, "bytes": list(word.encode()), "top_logprobs": []})
            tokens[-1]["top_logprobs"] = [
                {"token": f"alt{i}", "logprob": -3.0 - i, "bytes": [1, 2]} for i in range(20)
            ]
        share = [{"token": str(k), "logprob": -0.3 if k == p else -2.5} for k in (1, 2, 3, 4)]
        tokens.append(
            {"token": f" {p}", "logprob": -0.3, "top_logprobs": [*share, {"token": "x", "logprob": -9}]}
        )
        tokens.append({"token": "}", "logprob": 0.0, "top_logprobs": []})
    return tokens


@pytest.mark.parametrize("points", [[3], [1, 4, 2, 2], [4] * 4])
def test_little_is_kept_of_log_probabilities_and_it_is_enough(points):
    whole = reply_with_alternatives(points)
    kept = needed_logprobs(whole)
    assert expected_points(kept, points) == expected_points(whole, points)
    assert None not in expected_points(kept, points)
    assert "".join(t["token"] for t in kept) == "".join(t["token"] for t in whole)
    assert len(json.dumps(kept)) < len(json.dumps(whole)) / 50
    assert needed_logprobs(kept) == kept
