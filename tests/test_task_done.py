"Whether a response does its task at all: valid and empty answers of every kind."

import pytest

from crmeval import instruction_following
from crmeval.core.records import Response, Sample
from crmeval.metrics.accuracy import score_response
from crmeval.metrics.criteria import task_of
from crmeval.metrics.hollow import copy_problem, hollow_problem, loop_problem
from crmeval.metrics.task_done import paragraphs, task_problems
from crmeval.tasks.load import load_demo
from crmeval.tasks.use_cases import get_use_case, use_cases

CHAT = """Agent (Mei): Hello, this is Mei, how can I help you today?
Customer: My router, order CS-20418, never came, and I have been waiting for it since the end of March.
Agent (Mei): I am sorry. I see that it was lost in Leeds. I send a new one today, and it arrives on 14 May.
Customer: Fine, three weeks late, but thank you. Will it be the same model as the first one was?
Agent (Mei): It will, and you get a credit of $15 for the long wait."""
SUMMARY = (
    "The customer's router, order CS-20418, was lost in Leeds. Mei sends a new one that arrives on 14 May."
)
REPLY = "I am sorry that your router was lost. A new one is on its way to you and arrives on 14 May."
LONG = f"""{SUMMARY} The chat began with a greeting, after which the customer said what was wrong and how
long it had been so. She looked the order up and found where the parcel had gone missing on its
way to the house. The customer is not happy about the weeks that went by, yet takes the news
calmly, and asks about the model. He hears that nothing changes there. For the time that he had
to wait the agent adds some money to the account, which was not asked for. Both then close the
talk in a friendly way, and no further step is open on either side, apart from the parcel, which
should be tracked by the depot until somebody signs for it at the door, so that it is not lost
for a second time this spring."""

LOOPS = [
    "Customer:\n" * 12,
    "290 euros.\n" * 15,
    "Thank you, " * 20,
    "I am sorry. " * 6,
    "I don't know what to say. " * 5,
    "ok ok ok ok ok ok ok ok ok ok ok ok",
    "Booking CS-20418\n" * 8,
    "Name: Ana.\n\n" * 9,
    "Customer: Hello.\nAgent: Hello.\n" * 5,
    "The router was lost. " + "It was lost again and again and then it was lost. " * 6,
    "".join(f"{i}. Call the customer back.\n" for i in range(1, 15)),
    "Es tut mir leid, das weiß ich nicht. " * 6,
    "Lo siento, no lo sé. " * 8,
    "谢谢您的来信。" * 9,
    "申し訳ございません。" * 9,
    "Извините, я не знаю. " * 7,
    "شكرا لك. " * 15,
    "ขอบคุณครับ" * 25,
    "ha" * 300,
    "One fine day. Two fine days. " * 7,
]


@pytest.mark.parametrize("text", LOOPS)
def test_a_loop_is_found_and_nothing_counts(text):
    assert loop_problem(text) and hollow_problem(text)
    score = instruction_following(text, instructions=[{"kind": "max_words", "n": 9000}])
    assert score.points == 1 and "loop" in score.reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes.",
        "No, no, no, that is fine.",
        SUMMARY,
        REPLY,
        "- 2 lamps: 40 euros\n- 3 shades: 60 euros\n- 1 cable: 5 euros",
        "Mon 9-5\nTue 9-5\nWed 9-5\nThu 9-12\nPlease call us before you come to the shop in Leeds.",
        "Thank you, thank you, thank you! Your lamp arrives on Friday, and we look forward to your call.",
        "Der Kunde möchte sein Geld zurück. Die Mitarbeiterin prüft den Fall und meldet sich am Freitag.",
        "灯坏了。客服周五寄新灯，免费。客户同意，并要求周六以前送到。",
    ],
)
def test_ordinary_text_is_no_loop(text):
    assert loop_problem(text) == ""


def test_repetition_that_was_asked_for_is_followed():
    instruction = {
        "kind": "ifeval",
        "id": "keywords:frequency",
        "keyword": "yes",
        "frequency": 10,
        "relation": "at least",
    }
    assert instruction_following("yes " * 12, instructions=[instruction]).points == 4


@pytest.mark.parametrize("cut", [slice(None), slice(0, 3), slice(1, 4), slice(2, None)])
def test_a_copy_of_the_conversation_is_found(cut):
    copied = "\n".join(CHAT.splitlines()[cut])
    assert copy_problem(copied, CHAT)
    for task in ("summary", "reply", "email", "article", "record"):
        assert task_problems(copied, task=task, source=CHAT)[0].most == 1


@pytest.mark.parametrize("text", [SUMMARY, REPLY, "I send a new one today, and it arrives on 14 May."])
def test_a_quotation_is_no_copy(text):
    assert copy_problem(text, CHAT) == ""


# (task, response, highest possible points)
CASES = [
    ("summary", SUMMARY, 4),
    ("summary", "- Router CS-20418 lost in Leeds\n- New one on 14 May\n- Credit of $15", 4),
    ("summary", "Reason: router lost\nOutcome: new one sent\nNext steps: none", 4),
    ("summary", "Summary: " + SUMMARY, 3),
    ("summary", "**Summary:** " + SUMMARY, 3),
    ("summary", "Here is the summary of the conversation:\n" + SUMMARY, 3),
    ("summary", "Sure! Here's a summary:\n\n" + SUMMARY, 3),
    ("summary", "Résumé : " + SUMMARY, 3),
    ("summary", "Zusammenfassung: " + SUMMARY, 3),
    ("summary", SUMMARY + " The customer is [Name].", 3),
    ("summary", SUMMARY + " The customer is {{customer_name}}.", 3),
    ("summary", "", 1),
    ("summary", "Refund.", 1),
    ("summary", "Customer:\nAgent:", 1),
    ("summary", "Customer: The router never came.\nAgent: A new one arrives on 14 May.", 1),
    ("summary", "Mei: Hello.\nCustomer: My router never came.\nMei: I send another.", 1),
    (
        "summary",
        "Dear Ana,\nyour router was lost in Leeds, and I send you a new one on 14 May.\nKind regards\nMei",
        1,
    ),
    ("summary", "From: Mei\nTo: Ana\nSubject: Router\n\nThe router was lost in Leeds.", 1),
    ("summary", LONG, 1),
    ("summary", "The mayor painted a donkey green before the orchestra played seven waltzes at midnight.", 1),
    (
        "summary",
        "Le client n'a jamais reçu le routeur qu'il a commandé, et Mei lui en envoie un autre le 14 mai.",
        1,
    ),
    ("summary", "客户的路由器在利兹丢失，客服将寄出一台新的路由器，五月十四日送达，并退还十五美元。", 1),
    ("reply", REPLY, 4),
    ("reply", "Could you please send me a photo of the label?", 4),
    ("reply", "Hello Ana,\nyour router arrives on 14 May.\nKind regards\nMei", 4),
    ("reply", "Agent (Mei): " + REPLY, 3),
    ("reply", "Reply: " + REPLY, 3),
    ("reply", "Customer: Will it be the same model as the first one was?", 1),
    (
        "reply",
        "The customer wants to know whether the new router is the same model, and the agent says that it is.",
        1,
    ),
    ("reply", CHAT, 1),
    ("reply", "Customer: When does it come?\nAgent: On 14 May.\nCustomer: Thank you.", 1),
    (
        "email",
        "Subject: Your router\n\nDear Ana,\n\nyour new router arrives on 14 May.\n\nKind regards\nMei",
        4,
    ),
    ("email", "The new router arrives on 14 May.", 2),
    (
        "article",
        "Title: Lost router\nProblem: A router never came.\nCause: It was lost.\nResolution: Send it again.",
        4,
    ),
    ("article", "Dear Ana,\nyour router was lost, please wait.\nKind regards\nMei", 1),
    ("record", '{"status": "closed"}', 4),
    ("record", "```json\n{}\n```", 4),
    ("record", "The status is closed now.", 1),
    ("record", "", 1),
    ("", "Whatever was asked for, this is a text of its own.", 4),
    ("", "Customer:\n" * 20, 1),
]


@pytest.mark.parametrize(("task", "response", "most"), CASES)
def test_how_many_points_a_response_can_get(task, response, most):
    problems = task_problems(response, task=task, source=CHAT)
    assert min((p.most for p in problems), default=4) == most, problems
    assert [p.most for p in problems] == sorted(p.most for p in problems) and all(p.reason for p in problems)


def test_answers_in_the_language_of_the_source_are_answers():
    chat = (
        "Kundin: Meine Lampe ist kaputt angekommen.\nMitarbeiter: Wir schicken Ihnen am Freitag eine neue zu."
    )
    german = "Die Lampe der Kundin ist kaputt angekommen, und sie bekommt am Freitag eine neue, ohne Kosten."
    assert task_problems(german, task="summary", source=chat * 3) == []
    assert (
        task_problems(
            "The lamp of the customer arrived broken, and a new one is sent on Friday.",
            task="summary",
            source=chat,
        )
        == []
    )


@pytest.mark.parametrize("sample", [s for s in load_demo() if s.reference], ids=lambda s: s.id)
def test_references_do_their_task(sample):
    assert (
        task_problems(sample.reference, task=task_of(get_use_case(sample.use_case)), source=sample.source)
        == []
    )


def test_every_use_case_has_a_task():
    assert all(task_of(u) for u in use_cases().values())


@pytest.mark.parametrize("use_case", list(use_cases()))
def test_every_use_case_asks_for_its_task(use_case):
    sample = next(s for s in load_demo() if s.use_case == use_case)
    for text in (sample.source, "Customer:\n" * 40, "I am sorry. " * 30):
        scores = {s.metric: s for s in score_response(Response(sample.id, "model", text), sample=sample)}
        assert scores["instruction_following"].points == 1
        assert "task was not done" in scores["instruction_following"].reason or use_case == "update_crm_info"


def test_leftovers_that_are_asked_for_are_none():
    task = {"kind": "task_done", "task": "summary", "source": CHAT}
    sections = {"kind": "sections", "headings": ["Summary"], "text": "Use the section 'Summary:'."}
    assert instruction_following("Summary: " + SUMMARY, instructions=[task, sections]).points == 4
    assert (
        instruction_following(
            "Summary: " + SUMMARY, instructions=[task, {"kind": "max_words", "n": 99}]
        ).points
        == 3
    )


def test_a_done_task_leaves_the_points_to_the_instructions():
    task = {"kind": "task_done", "task": "summary", "source": CHAT}
    two = [{"kind": "max_words", "n": 99}, {"kind": "min_words", "n": 90}]
    with_task, without = (instruction_following(SUMMARY, instructions=i) for i in ([task, *two], two))
    assert (with_task.points, with_task.fraction, with_task.reason) == (2, 0.5, without.reason)


def test_the_source_of_a_sample_is_what_it_is_held_against():
    sample = Sample(
        "s", "service_conversation_summary", inputs={"conversation": CHAT}, key_facts=(), instructions=()
    )
    score = {s.metric: s for s in score_response(Response("s", "m", CHAT), sample=sample)}[
        "instruction_following"
    ]
    assert score.points == 1 and score.evidence[0]["followed"] is False


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("One sentence.", 1),
        ("One line,\nwrapped at its end. And more.", 1),
        ("One.\n\nTwo.", 2),
        ("One.\nTwo.\nThree.", 3),
        ("One.\n \n\t\nTwo.", 2),
        ("\n\nOne.\n\n", 1),
        ("One.\n\n---\n\nTwo.", 2),
        ("一。\n二。", 2),
    ],
)
def test_paragraphs_are_counted(text, n):
    assert paragraphs(text, n=n) == "" and paragraphs(text, n=n + 1)
    assert paragraphs(text, min=n, max=n + 2) == "" and paragraphs(text, max=n - 1)


def test_one_paragraph_is_checked_where_it_is_asked_for():
    sample = next(s for s in load_demo() if s.use_case == "service_conversation_summary")
    split = sample.reference.replace(". ", ".\n\n", 1)
    for text, obeyed in ((sample.reference, True), (split, False)):
        score = {s.metric: s for s in score_response(Response("s", "m", text), sample=sample)}[
            "instruction_following"
        ]
        assert (score.points == 4) is obeyed
