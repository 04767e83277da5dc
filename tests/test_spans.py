"Spans of replies: OpenTelemetry names, and no content unless requested, then masked."

import json

import pytest

from crmeval import TrustLayer
from crmeval.core.calls import CallFailed, Completion
from crmeval.core.records import Usage
from crmeval.layer.audit_trail import AuditTrail
from crmeval.layer.spans import export_spans, otlp_lines, spans_of

PERSON = {
    "contact": {"name": "Marisol Quintero"},
    "case": {"comments": "The pump is loud. Call +49 30 901820."},
}
TEMPLATE = "Write to {{contact.name}}:\n{{case.comments}}"


class Toy:
    name, provider, model, cacheable = "toy", "openai", "toy-1", False

    async def chat(self, messages, **options):
        if "fail" in messages[-1]["content"]:
            raise CallFailed("down", status="timeout")
        text = "Dear customer, Wanda Varga looks at the pump."
        return Completion(text, usage=Usage(11, 7), finish_reason="stop", model="toy-1-2026", latency_s=0.5)


@pytest.fixture(scope="module")
def trail(tmp_path_factory):
    path = tmp_path_factory.mktemp("spans") / "trail.jsonl"
    layer = TrustLayer(Toy(), trail=path)
    layer.reply(TEMPLATE, PERSON, user="jessica", case="C-17", person="p-1")
    layer.reply(TEMPLATE, {**PERSON, "case": {"comments": "Please fail."}}, user="jessica", case="C-18")
    layer.trail.close()
    return AuditTrail(path)


def test_a_reply_is_a_trace_with_a_span_for_each_step(trail):
    spans = spans_of(trail.records(case="C-17"))
    root, *steps = spans
    assert [s.name for s in steps if s.client] == ["chat toy-1"] and root.parent_id == ""
    assert {s.parent_id for s in steps} == {root.span_id} and len({s.trace_id for s in spans}) == 1
    assert len({s.span_id for s in spans}) == len(spans)
    assert {"masking", "defence", "gateway", "screening"} <= {s.name for s in steps}
    chat = next(s for s in steps if s.client)
    assert chat.attributes["gen_ai.usage.input_tokens"] == 11 and chat.seconds == pytest.approx(0.5)
    assert chat.attributes["gen_ai.response.model"] == "toy-1-2026"
    assert (root.attributes["crmeval.user"], root.attributes["crmeval.case"]) == ("jessica", "C-17")
    assert all(root.start_ns <= s.start_ns <= s.end_ns <= root.end_ns for s in steps)


def test_no_word_of_the_reply_leaves_unless_it_is_asked_for(trail):
    lines = "\n".join(otlp_lines(spans_of(trail.records())))
    assert not any(word in lines for word in ("pump", "Marisol", "Wanda", "901820", "Write to"))
    with_content = "\n".join(otlp_lines(spans_of(trail.records(), content=True)))
    assert "pump" in with_content and not any(
        word in with_content for word in ("Marisol", "Quintero", "Varga", "901820")
    )


def test_a_failed_call_is_an_error_of_its_trace(trail):
    spans = spans_of(trail.records(case="C-18"))
    assert [s.error for s in spans if s.client] == ["the call failed: timeout"] and spans[0].error
    assert next(s for s in spans if s.client).attributes["gen_ai.provider.name"] == "openai"


@pytest.mark.parametrize(
    "fields, kind", [({"http_status": 429}, "429"), ({"status": "cancelled"}, "cancelled"), ({}, "_OTHER")]
)
def test_the_class_of_an_error_stands_where_the_conventions_want_it(tmp_path, fields, kind):
    with AuditTrail(tmp_path / "t.jsonl") as kept:
        kept.append("answer", reply="r0", status="ok")
        kept.append("failed", reply="r1", **fields)
        calls = [s for s in spans_of(kept.records()) if s.client]
    assert [s.attributes.get("error.type") for s in calls] == [None, kind]


def test_names_are_those_of_the_conventions_and_the_exporter_gets_what_the_file_has(trail):
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
    from opentelemetry.semconv.attributes import error_attributes

    known = {v for k, v in vars(gen_ai_attributes).items() if k.startswith("GEN_AI_") and isinstance(v, str)}
    known.add(error_attributes.ERROR_TYPE)
    spans, exporter = spans_of(trail.records(), content=True), InMemorySpanExporter()
    used = {key for s in spans for key in s.attributes}
    assert {k for k in used if not k.startswith("crmeval.")} <= known
    operations = {o.value for o in gen_ai_attributes.GenAiOperationNameValues}
    assert {s.attributes.get("gen_ai.operation.name", "chat") for s in spans} <= operations
    assert export_spans(spans, exporter) == len(spans)
    sent = [s for line in otlp_lines(spans) for s in _spans_in(line)]
    got = [(s.name, f"{s.context.span_id:016x}", str(s.end_time)) for s in exporter.get_finished_spans()]
    assert got == [(s["name"], s["spanId"], s["endTimeUnixNano"]) for s in sent]


def _spans_in(line):
    return json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
