"""The feedback widget in a real browser: by keyboard alone, and every text stays text."""

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
  get: () => view,
  send: (m) => window.answer(JSON.stringify(m)).then((v) => window.show(JSON.parse(v))),
  on: (_, f) => heard.push(f),
  off: () => {},
};
"""


def test_by_keyboard_and_as_text(tmp_path):
    from playwright.sync_api import sync_playwright

    kept: list[Feedback] = []
    links = [
        SourceLink(1, "a", f"Lamps {NASTY}", "https://kb.example/lamps", "marker"),
        SourceLink(2, "b", "Script", "javascript:window.hurt=1", "words"),
    ]
    form = FeedbackForm("r1", NASTY, kept.append, sources=links, masked={"PERSON": 2})

    def answer(message):
        return json.dumps(form.answer(json.loads(message)))

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(8000)
        faults = []
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.expose_function("answer", answer)
        page.set_content("<main id=host></main>")
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
        assert page.locator(".crm-fb-text").inner_text() == NASTY
        assert [a.get_attribute("href") for a in page.locator("a").all()] == ["https://kb.example/lamps"]
        assert page.locator("li", has_text="PERSON: 2").count() == 1
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
        browser.close()
    assert [f.action for f in kept] == ["accept", "edit", "edit", "ignore"]
    assert kept[1].edited == "Your lamp left." and kept[-1].reasons == ("too_long",)
