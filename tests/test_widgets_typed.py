"""Both widgets in plain Chromium with a kernel that answers late: what was typed is what is saved.

The page holds the widget's own script and a model that hands messages to Python one by one, when the test
says so; a reload keeps what a kernel would keep.
"""

import json
import shutil
from contextlib import contextmanager

import pytest
from hostile import CORPUS
from windows import windows

from crmeval.core.package_data import data_path
from crmeval.core.records import Response, Sample
from crmeval.layer.source_links import SourceLink
from crmeval.people.feedback_widget import FeedbackForm
from crmeval.people.plan import CRITERIA, make_plan, writable, write_plan
from crmeval.people.session import Session
from crmeval.people.widget import answer_message, view_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
pytest.importorskip("playwright", reason="playwright is not installed")

MODEL = """
let heard = [];
window.sent = [];
window.draft ??= {};
window.model = {
  get: (name) => (name === "view" ? window.view : window.draft),
  set: (name, value) => { window[name] = value; },
  save_changes: () => {},
  send: (m) => window.sent.push(JSON.stringify(m)),
  on: (_, f) => heard.push(f),
  off: (_, f) => { heard = heard.filter((h) => h !== f); },
};
window.show = (v) => { window.view = v; heard.forEach((f) => f()); };
window.open_ = (v) => {
  window.stop?.();
  host.replaceChildren();
  window.view = v;
  window.stop = render({ model, el: host });
};
"""
ONE_LETTER = "a" + "\u0301\u0489\u20dd" * 400
LONG = ("W" * 5000, "\u6f22" * 100_000, ONE_LETTER, "Z " * 20_000, "\n" * 2000 + "below")


class Kernel:
    "Answers the messages of a page when it is told to."

    def __init__(self, page, name, answer, view):
        self.page, self.answer = page, answer
        script = data_path("rating", f"{name}.js").read_text(encoding="utf-8")
        style = data_path("rating", f"{name}.css").read_text(encoding="utf-8")
        page.goto("about:blank")
        page.set_content(f"<style>{style}</style><main id=host></main>")
        page.add_script_tag(content=script.replace("export default { render };", MODEL))
        page.evaluate("(v) => open_(v)", sendable(view))

    def busy(self):
        return len(self.page.evaluate("sent"))

    def run(self, most=99):
        "Answer what was sent so far."
        for message in self.page.evaluate("(n) => sent.splice(0, n)", most):
            self.page.evaluate("(v) => show(v)", sendable(self.answer(json.loads(message))))

    def reload(self, view):
        self.page.evaluate("(v) => open_(v)", sendable(view))


def sendable(view):
    "As Jupyter packs a message: a lone surrogate is an error."
    json.dumps(view, ensure_ascii=False).encode()
    return view


@pytest.fixture(scope="module")
def browser():
    with windows(CHROMIUM) as found:
        yield found


@contextmanager
def rating(browser, folder, texts=("Order 4711\r\nis late.",) * 2):
    samples = [
        Sample(f"s{i}", "service_call_summary", {"transcript": f"{t} ({i})"}, key_facts=[t], cluster=str(i))
        for i, t in enumerate(texts)
    ]
    answers = [Response(s.id, "model:a", f"{texts[0]} {s.id}", use_case=s.use_case) for s in samples]
    write_plan(make_plan(samples, answers, ["ann"], seed=1), folder)
    page = browser.open()
    with Session(folder / "ann") as session:
        yield Kernel(page, "widget", lambda m: answer_message(session, m), view_of(session)), page, session
    browser.give_back(page)


@contextmanager
def feedback(browser, reply="Hello\r\nAna", keep=None, **options):
    page, kept = browser.open(), []
    form = FeedbackForm("r1", reply, keep or kept.append, **options)
    yield Kernel(page, "feedback", form.answer, form.view()), page, form, kept
    browser.give_back(page)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_keys_typed_before_the_answers_rate_one_criterion_each(browser, tmp_path, at_once):
    with rating(browser, tmp_path) as (kernel, page, session):
        page.locator("[role=radiogroup]").first.focus()
        for start in range(0, 4, at_once):
            for key in "4321"[start : start + at_once]:
                page.keyboard.press(key)
            kernel.run()
        assert session.given == dict(zip(CRITERIA, (4, 3, 2, 1)))
        assert page.evaluate("document.activeElement.innerText").startswith("Instruction following")


def test_no_key_rates_an_item_that_nobody_has_seen(browser, tmp_path):
    with rating(browser, tmp_path) as (kernel, page, session):
        page.locator("[role=radiogroup]").first.focus()
        for key in ("4", "4", "4", "4", "Enter", "1", "1", "Enter", "u", "s"):
            page.keyboard.press(key)
        kernel.run()
        assert [r.points for r in session.ratings()] == [4] * 4 and session.given == {}
        assert "The next item is shown" in page.locator(".crm-live").inner_text()
        seen = session.current.id
        page.locator("[role=radio]").first.click()
        session.skip("elsewhere")  # as from another view of the same widget
        kernel.run()
        assert "nothing was saved" in page.locator(".crm-live").inner_text() and session.current is None
        assert [r.item for r in session.ratings() if r.points is None] == [seen] * 4


def test_a_key_that_is_held_down_acts_once(browser, tmp_path):
    with rating(browser, tmp_path) as (kernel, page, session):
        page.locator("[role=radiogroup]").first.focus()
        for _ in range(5):
            page.keyboard.down("3")
        page.keyboard.up("3")
        kernel.run()
        assert session.given == {"factuality": 3}
    with feedback(browser) as (kernel, page, _, kept):
        page.locator("[data-do=accept]").focus()
        for _ in range(4):
            page.keyboard.down("+")
        page.keyboard.up("+")
        kernel.run()
        assert page.locator("[data-do=up]").get_attribute("aria-pressed") == "true" and kept == []


def test_a_comment_stays_until_it_is_saved(browser, tmp_path):
    with rating(browser, tmp_path) as (kernel, page, session):
        write = kernel.answer
        area = page.locator("textarea")
        page.locator("[role=radiogroup]").first.focus()
        page.keyboard.press("c")
        page.keyboard.type("12 use e")
        page.keyboard.press("Enter")
        kernel.answer = lambda m: view_of(session, error="no room")
        kernel.run()
        assert area.input_value() == "12 use e" and not session.given
        page.keyboard.type("!")
        page.keyboard.press("Enter")
        page.keyboard.type("?")  # after Enter and before the answer
        kernel.answer = write
        kernel.run()
        assert area.input_value() == "12 use e!?" and session.said["comment"] == "12 use e!"
        page.wait_for_function("draft.text === '12 use e!?'")
        kernel.reload(view_of(session))
        assert area.input_value() == "12 use e!?"
        area.focus()
        page.keyboard.press("Enter")
        kernel.run()
        assert area.count() == 0 and session.said["comment"] == "12 use e!?" and page.evaluate("!draft.kind")


def test_evidence_over_a_line_end_of_any_kind(browser, tmp_path):
    with rating(browser, tmp_path, ["One (a+b)\r\ntwo\rthree [x"] * 2) as (kernel, page, session):
        page.locator("[role=radiogroup]").first.focus()
        page.keyboard.press("e")
        page.locator("textarea").fill("no such words")
        page.keyboard.press("Enter")
        assert page.locator("textarea").input_value() == "no such words" and not kernel.busy()
        page.locator("textarea").fill("(a+b)\ntwo\nthree [x")
        page.keyboard.press("Enter")
        kernel.run()
        assert [e["text"] for e in session.said["evidence"]] == ["(a+b)\r\ntwo\rthree [x"]
        assert page.locator("mark").count() == 1


def test_what_is_written_outlives_its_keys_its_neighbours_and_a_reload(browser):
    with feedback(browser) as (kernel, page, form, kept):
        page.locator("[data-do=edit]").click()
        area = page.locator("textarea")
        area.fill("My own text.")
        page.locator("[data-do=save]").focus()
        page.keyboard.press("e")
        page.locator("[data-do=up]").click()
        kernel.run()
        assert area.input_value() == "My own text."
        assert page.locator("[data-do=up]").get_attribute("aria-pressed") == "true"
        page.get_by_label("In your words").fill("too sho")
        page.wait_for_function("draft.edit && draft.words === 'too sho'")
        kernel.reload(form.view())
        assert (area.input_value(), page.get_by_label("In your words").input_value()) == (
            "My own text.",
            "too sho",
        )
        area.focus()
        page.keyboard.press("Control+Enter")
        kernel.run()
        assert kept[-1].edited == "My own text." and area.count() == 0 and page.evaluate("draft.edit") is None


@pytest.mark.parametrize("click", ["accept", "ignore", "save"])
def test_a_cell_run_again_shows_what_was_typed_and_a_click_saves_it(browser, click):
    with feedback(browser) as (kernel, page, form, kept):
        page.locator("[data-do=up]").click()
        kernel.run()
        page.locator("[data-do=edit]").click()
        page.locator("textarea").fill("My own text.")
        page.get_by_label("In your words").fill("too sho")
        page.wait_for_function("draft.edit === 'My own text.' && draft.words === 'too sho'")
        again = FeedbackForm("r1", "Hello\r\nAna", kept.append)
        page.evaluate("(d) => { window.draft = d; }", form.unsaved(page.evaluate("draft")))
        again.take_over(form)
        kernel.reload(again.view())
        page.evaluate("sent.splice(0)")  # what the page of the earlier form sent while it was taken out
        kernel.answer = again.answer
        words = page.get_by_label("In your words")
        assert (page.locator("textarea").input_value(), words.input_value()) == ("My own text.", "too sho")
        assert page.locator("[data-do=up]").get_attribute("aria-pressed") == "true" and kept == []
        page.locator(f"[data-do={click}]").click()
        kernel.run()
        edited = "My own text." if click == "save" else None
        assert (kept[-1].words, kept[-1].thumb, kept[-1].edited) == ("too sho", "up", edited)
        assert form.close() is None, "nothing is pending in the earlier form"


def test_ticks_before_the_answer_count_all(browser):
    with feedback(browser) as (kernel, page, form, _):
        page.locator("[data-do=accept]").click()
        boxes = page.locator("input[type=checkbox]")
        boxes.nth(0).click()
        boxes.nth(1).click()
        kernel.run(2)
        boxes.nth(2).click()
        kernel.run()
        assert len(form.view()["reasons"]) == 3 and page.locator("input:checked").count() == 3


def test_saving_a_reply_as_it_was_is_no_edit_of_its_line_ends(browser):
    with feedback(browser, "One\r\ntwo\rthree") as (kernel, page, _, kept):
        page.locator("[data-do=edit]").click()
        page.keyboard.press("Control+Enter")
        kernel.run()
        assert kept[-1].edited == "One\r\ntwo\rthree" and page.locator("textarea").count() == 0


@pytest.mark.parametrize("half", ["\ud83d", "\udcff", "a\udfff\ud800b"])
def test_half_a_character_reaches_the_page_and_comes_back(browser, tmp_path, half):
    links = [SourceLink(1, half, half, f"https://kb.example/{half}", "words")]
    with feedback(browser, half, sources=links, masked={half: 2}) as (kernel, page, _, kept):
        assert page.locator(".crm-fb-text").inner_text() == writable(half)
        page.locator("[data-do=edit]").click()
        page.locator("textarea").evaluate("(e) => { e.value = 'x \\udc80 y'; }")
        page.keyboard.press("Control+Enter")
        kernel.run()
        assert kept[-1].edited == "x \ufffd y" and page.locator("textarea").count() == 0
    with rating(browser, tmp_path, [half] * 2) as (kernel, page, session):
        page.locator("[role=radiogroup]").first.focus()
        page.keyboard.press("c")
        page.locator("textarea").evaluate("(e) => { e.value = 'x \\udc80 y'; }")
        page.keyboard.press("Enter")
        kernel.run()
        assert session.said["comment"] == "x \ufffd y" and page.locator("textarea").count() == 0


HIDDEN = """() => [...document.querySelectorAll("button, [role=radio]")].filter((b) => {
  b.scrollIntoView({ block: "center" });
  const r = b.getBoundingClientRect();
  const top = document.elementFromPoint((r.left + r.right) / 2, (r.top + r.bottom) / 2);
  return r.left < 0 || r.right > innerWidth || !b.contains(top);
}).map((b) => b.innerText)"""
TALL = "document.documentElement.scrollHeight"


@pytest.mark.parametrize("text", [*LONG, *CORPUS[9:14]], ids=lambda t: ascii(t)[:20])
def test_no_text_covers_a_button_or_pushes_it_away(browser, tmp_path, text):
    links = [SourceLink(n, "a", text, "https://kb.example/1", "words") for n in (1, 2, 3)]
    with feedback(browser, text, sources=links, masked={text: 2, "PERSON": 1}) as (_, page, _form, _kept):
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(HIDDEN) == [] and page.evaluate(TALL) < 3000
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    with rating(browser, tmp_path, [text] * 2) as (kernel, page, session):
        session.comment(text)
        kernel.reload(view_of(session, error=text))
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(HIDDEN) == [] and page.evaluate(TALL) < 4000
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_link_says_where_it_leads_and_a_title_turns_nothing(browser):
    links = [
        SourceLink(1, "a", "https://bank.example", "https://kb.example:8443/x?y", "words"),
        SourceLink(2, "b", "\u200b\u2060", "https://kb.example/", "words"),
        SourceLink(3, "c", "turned \u202e", "https://kb.example/", "words"),
        SourceLink(4, "d", "broken", "https://[", "words"),
    ]
    with feedback(browser, sources=links, masked={"PERSON\u202e": 12}) as (_, page, _form, _kept):
        hosts = [a.inner_text().rpartition(" ")[2] for a in page.locator("a").all()]
        assert hosts == ["(kb.example:8443)", "(kb.example)", "(kb.example)"]
        where = page.evaluate("""() => {
          const node = document.querySelector("[aria-label='What was masked'] li span").firstChild;
          const at = (n) => {
            const r = document.createRange();
            r.setStart(node, n);
            r.setEnd(node, n + 1);
            return r.getBoundingClientRect().left;
          };
          return [at(2), at(3)];
        }""")
        assert where[0] < where[1], "12 is not read as 21"


def test_two_views_of_a_widget_have_ids_of_their_own(browser, tmp_path):
    with rating(browser, tmp_path) as (_, page, _session):
        page.evaluate("render({ model, el: document.body.appendChild(document.createElement('main')) })")
        ids = page.eval_on_selector_all("[id]", "all => all.map((e) => e.id)")
        assert len(ids) > 40 and len(set(ids)) == len(ids)
