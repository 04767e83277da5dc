"""The feedback widget in a real browser: usable by keyboard alone, and every text stays text."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from crmeval.core.package_data import data_path
from crmeval.layer.feedback import Feedback
from crmeval.layer.source_links import SourceLink
from crmeval.people.feedback_widget import FeedbackForm

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    not CHROMIUM or not Path(CHROMIUM).exists(), reason="chromium is not installed"
)
pytest.importorskip("playwright", reason="playwright is not installed")

NASTY = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script> Your lamp is on its way.'
PAGE = """
const heard = []; let view = null;
window.show = (v) => { view = v; heard.forEach((f) => f()); };
window.model = {
  get: (name = "view") => (name === "view" ? view : {}),
  set: () => {},
  save_changes: () => {},
  send: (m) => window.answer(JSON.stringify(m)).then((v) => window.show(JSON.parse(v))),
  on: (_, f) => heard.push(f),
  off: () => {},
};
"""


@contextlib.contextmanager
def opened(form):
    "Yield a page that shows the form, and the list of its page errors."
    from playwright.sync_api import sync_playwright

    def answer(message):
        return json.dumps(form.answer(json.loads(message)))

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(8000)
        faults: list[str] = []
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.expose_function("answer", answer)
        page.set_content("<main id=host></main>")
        page.add_style_tag(content="a { color: unset; text-decoration: unset; }")  # as JupyterLab does
        page.add_style_tag(content=data_path("rating", "feedback.css").read_text())
        script = (
            data_path("rating", "feedback.js")
            .read_text()
            .replace("export default { render };", "window.render = render;")
        )
        page.add_script_tag(content=f"{{{PAGE}\n{script}}}")
        page.evaluate(
            "(v) => { show(v); render({ model: window.model, el: document.getElementById('host') }); }",
            form.view(),
        )
        yield page, faults
        browser.close()


def test_by_keyboard_and_as_text(tmp_path):
    kept: list[Feedback] = []
    links = [
        SourceLink(1, "a", f"Lamps {NASTY}", "https://kb.example/lamps", "marker"),
        SourceLink(2, "b", "Script", "javascript:window.hurt=1", "words"),
    ]
    form = FeedbackForm("r1", NASTY, kept.append, sources=links, masked={"PERSON": 2})

    with opened(form) as (page, faults):
        assert page.locator(".crm-fb-text").inner_text() == NASTY
        assert [a.get_attribute("href") for a in page.locator("a").all()] == ["https://kb.example/lamps"]
        assert page.locator("li", has_text="PERSON: 2").count() == 1
        look = "(e) => [getComputedStyle(e).color, getComputedStyle(e).textDecorationLine]"
        link, plain = page.locator("a").evaluate(look), page.locator("ol li > span").evaluate(look)
        assert link[0] != plain[0] and (link[1], plain[1]) == ("underline", "none"), "a link has its look"
        page.keyboard.press("Tab")
        page.keyboard.press("+")
        page.get_by_text("Noted;").wait_for()
        page.keyboard.press("a")
        page.get_by_text("Saved: accepted, thumb up.").wait_for()
        page.keyboard.press("e")
        page.keyboard.press("Control+a")
        page.keyboard.type("Your lamp left.")
        page.keyboard.press("Control+Enter")
        page.get_by_text("Saved: edited, thumb up.").wait_for()
        page.get_by_label("Too long").check()
        page.wait_for_function("document.querySelector('[data-do=reason-too_long]').checked")
        page.keyboard.press("i")
        page.get_by_text("Saved: ignored, thumb up.").wait_for()
        assert page.evaluate("window.hurt") is None and not faults
    assert [f.action for f in kept] == ["accept", "edit", "edit", "ignore"]
    assert kept[1].edited == "Your lamp left." and kept[-1].reasons == ("too_long",)


def test_what_was_written_outlives_a_disk_that_is_full_and_an_answer_that_is_late():
    kept: list[Feedback] = []
    full = [True]

    def keep(feedback):
        if full[0]:
            raise RuntimeError("no room")
        kept.append(feedback)

    with opened(FeedbackForm("r1", "Your lamp is late.", keep)) as (page, faults):
        page.get_by_text("Edit (e)").click()
        page.locator("textarea").fill("Written with care.")
        page.get_by_text("Save (Ctrl+Enter)").click()
        page.get_by_text("Nothing was saved: RuntimeError: no room").wait_for()
        assert page.locator("textarea").input_value() == "Written with care." and not kept
        full[0] = False
        page.get_by_text("Save (Ctrl+Enter)").dblclick(no_wait_after=True)
        page.get_by_text("Saved: edited.").wait_for()
        assert page.locator("textarea").count() == 0
        page.get_by_label("In your words").press_sequentially("too sl")
        page.evaluate("(v) => show(v)", {**json.loads(page.evaluate("JSON.stringify(model.get())"))})
        page.keyboard.type("ow")
        page.keyboard.press("Tab")
        page.get_by_text("Saved: edited.").wait_for()
        page.wait_for_function("model.get().words === 'too slow'")
        assert not faults
    assert [(f.edited, f.words) for f in kept] == [
        ("Written with care.", ""),
        ("Written with care.", "too slow"),
    ]


def test_hostile_replies_with_fifty_sources_stay_text_and_stay_in_the_window():
    hostile = f"**bold** [a](javascript:hurt()) \u202e{NASTY}\u202c " + "W" * 4000
    links = [
        SourceLink(
            n, str(n), hostile[: 40 * n], f"https://kb.example/{n}" if n % 2 else "data:text/html,x", "words"
        )
        for n in range(1, 51)
    ]
    form = FeedbackForm("r1", hostile, lambda f: None, sources=links, masked={"PERSON": 2})
    with opened(form) as (page, faults):
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.locator(".crm-fb-text").text_content() == hostile
        assert page.locator("section[aria-label=Sources] li").count() == 50
        assert page.locator("a").count() == 25 and page.locator("script:not([src])").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("window.hurt") is None and not faults


def test_each_line_is_set_in_its_own_direction(tmp_path):
    "A Hebrew line below an English one begins at the right, in the reply and in the editor."
    turned = "\u05e9\u05dc\u05d5\u05dd, 4711."
    with opened(FeedbackForm("r1", f"Hello.\n{turned}", lambda _: None)) as (page, faults):
        ends = """(box) => {
          const text = box.firstChild, line = document.createRange(), all = box.getBoundingClientRect();
          return text.data.split("\\n").map((part) => {
            const start = text.data.indexOf(part);
            line.setStart(text, start);
            line.setEnd(text, start + part.length);
            const at = line.getBoundingClientRect();
            return [Math.round(at.left - all.left), Math.round(all.right - at.right)];
          });
        }"""
        (left, _), (_, right) = page.locator(".crm-fb-text").evaluate(ends)
        assert left < 2 and right < 2
        page.locator("button[data-do=edit]").click()
        assert page.locator("textarea").get_attribute("dir") == "auto" and faults == []
