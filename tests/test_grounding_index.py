"Grounding through an index: readers get only permitted passages, relevant ones, no duplicates, on a budget."

import random

import pytest

from crmeval.layer.index import Index
from crmeval.layer.knowledge import conversation_query
from crmeval.layer.trust_layer import TrustLayer

TOPICS = ["lamp", "router", "kettle", "boiler", "printer", "freezer"]
GROUPS = ["staff", "sales", "ana"]


class Quoting:
    "A model that cites a source and a passage number that do not exist, and records its prompts."

    name, provider, model, cacheable = "own:quoting", "own", "quoting", False

    def __init__(self):
        self.seen = []

    async def chat(self, messages, **options):
        from crmeval.core.calls import Completion

        self.seen.append("\n".join(m["content"] for m in messages))
        return Completion("A repair takes five working days. See https://kb.example.com/none [9].")


def pages(rng, n=60):
    for k in range(n):
        topic = TOPICS[k % len(TOPICS)]
        allowed = rng.choice([None, ["staff"], ["sales", "staff"], ["ana"]])
        page = {
            "id": f"p{k}",
            "document": f"d{k}",
            "title": f"{topic} {k}",
            "text": f"Article {k}: how to repair a {topic} with part {k * 7919 % 997}, tool {k * 31 % 83}.",
            "url": f"https://kb.example.com/{k}",
        }
        yield page | ({"allowed": allowed} if allowed else {})


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    path = tmp_path_factory.mktemp("kb") / "kb.index"
    made = list(pages(random.Random(3)))
    Index(path, unmarked="everybody").add(made)
    return path, {p["id"]: p for p in made}


def layer_of(path, **grounding):
    return TrustLayer(Quoting(), policy={"grounding": {"index": str(path), **grounding}})


@pytest.mark.parametrize(
    "who", [("", ()), ("ana", ()), ("bo", ("sales",)), ("cy", ("staff",)), ("x", ("nobody",))]
)
def test_a_person_never_gets_what_she_may_not_read(shelf, who):
    path, known = shelf
    user, roles = who
    readable = {user, *roles}
    layer = layer_of(path, passages=40)
    for topic in TOPICS:
        reply = layer.reply(f"How do I repair a {topic}?", {}, user=user, roles=roles)
        sent = layer.client.seen[-1]
        for page in known.values():
            hidden = "allowed" in page and not readable & set(page["allowed"])
            if hidden:
                assert page["text"] not in sent and page["url"] + ")" not in reply.text
        assert any(p["text"] in sent for p in known.values() if topic in p["title"] and "allowed" not in p)
        assert all(s.id in known for s in reply.sources)  # every cited source was retrieved
        assert "https://kb.example.com/none" not in reply.text


def test_a_question_about_nothing_that_is_known_gets_no_passage_and_says_so(shelf):
    layer = layer_of(shelf[0])
    reply = layer.reply("Quels sont vos horaires?", {})
    (record,) = [r for r in reply.way.records if r.step == "grounding"]
    assert record.detail["passages"] == [] and "nothing" in record.reason, record
    strict = layer_of(shelf[0], least=0.9)
    answered = strict.reply("Which boiler suits seven bathrooms in a listed building by the sea?", {})
    assert (
        "nothing relevant was found" in next(r for r in answered.way.records if r.step == "grounding").reason
    )


def test_conditions_of_the_policy_hold_for_every_call(shelf, tmp_path):
    path = tmp_path / "kb.index"
    text = "A repair of a lamp takes days: {}."
    Index(path, unmarked="everybody").add(
        [{"id": r, "document": r, "text": text.format(r), "region": r} for r in ("north", "south")]
    )
    layer = layer_of(path, where={"region": "south"})
    layer.reply("How long does a repair of a lamp take?", {})
    assert "days: south" in layer.client.seen[-1] and "days: north" not in layer.client.seen[-1]


def test_a_budget_of_tokens_is_kept(shelf):
    layer = layer_of(shelf[0], passages=40, tokens=120)
    reply = layer.reply("How do I repair a kettle?", {}, user="cy", roles=("staff",))
    (record,) = [r for r in reply.way.records if r.step == "grounding"]
    assert 0 < record.detail["size"] <= 120 and record.detail["left_out"]
    assert record.detail["limit"] == 120


def test_near_doubles_take_room_once(tmp_path):
    path = tmp_path / "kb.index"
    sentence = (
        "A repair of a lamp takes five working days once it has reached our store in Leeds and was checked"
    )
    Index(path, unmarked="everybody").add(
        [{"id": str(k), "document": str(k), "text": f"{sentence} by number {k}."} for k in range(5)]
    )
    layer = layer_of(path)
    layer.reply("How long does a repair of a lamp take?", {})
    assert layer.client.seen[-1].count("A repair of a lamp takes five working days") == 1


def test_a_policy_that_names_no_index_is_told(tmp_path):
    with pytest.raises(ValueError, match="grounding.index"):
        layer_of(tmp_path / "none.index")
    with pytest.raises(ValueError, match="least is 2"):
        layer_of(tmp_path / "none.index", least=2)
    with pytest.raises(ValueError, match="tokens is 0"):
        layer_of(tmp_path / "none.index", tokens=0)


def test_what_was_said_before_finds_the_passage(shelf):
    index = Index(shelf[0])
    talk = ["Customer: My freezer 17 leaks.", "Agent: I see.", "Customer: And how do I repair it?"]
    assert index.search(conversation_query(talk), 1, who=["staff", "ana", "sales"])[0].id == "p17"
