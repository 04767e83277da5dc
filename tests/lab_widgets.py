"""Both widgets in a running JupyterLab, with pictures. Usage: python tests/lab_widgets.py FOLDER

Clicks, saves, runs a cell again, switches to the dark theme, narrows the window and restarts the kernel
during input. It takes longer than a test may and is run by hand after a widget has changed.
"""

import json
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from test_widget_browser import CHROMIUM, Lab, packet

CELLS = (
    """from crmeval.layer.source_links import SourceLink
from crmeval.people.feedback_widget import feedback_widget
from crmeval.people.widget import rating_widget

linked = SourceLink(1, "a", "Reset", "https://kb.example/1", "marker")
links = [linked, SourceLink(2, "b", "A note", "", "words")]


def keep(said):
    with open("kept.txt", "a") as file:
        print(said.action, said.thumb, file=file)""",
    "feedback_widget('r1', 'Hold the button [1].', keep, sources=links, masked={'PERSON': 2})",
    "feedback_widget('r2', 'Your lamp is on its way. ' * 30, keep)",
    "rating_widget('plan/ann')",
)
DARK = "window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"


def written(path):
    "Write a notebook of the cells."
    made = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {},
            "source": c,
            "execution_count": None,
            "outputs": [],
        }
        for i, c in enumerate(CELLS)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path.write_text(json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


def used(page, lab, folder, out):
    "Use both widgets; take a picture after each part."
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    first, second = page.locator(".crm-feedback").nth(0), page.locator(".crm-feedback").nth(1)
    second.wait_for()
    page.locator(".crm-rate [role=radiogroup]").first.wait_for()
    page.screenshot(path=out / "light.png")
    first.get_by_text("Good (+)").click()
    first.get_by_text("Accept (a)").click()
    first.get_by_text("Saved: accepted, thumb up.").wait_for()
    second.get_by_text("Ignore (i)").click()
    second.get_by_text("Saved: ignored.").wait_for()
    assert (folder / "kept.txt").read_text().splitlines() == ["accept up", "ignore None"]
    page.locator(".jp-Notebook .cm-content").nth(1).click()
    page.keyboard.press("Control+Enter")
    first.get_by_text("Saved").wait_for(state="detached")
    page.evaluate(DARK)
    page.locator('body[data-jp-theme-light="false"]').wait_for(state="attached")
    page.screenshot(path=out / "dark.png")
    page.set_viewport_size({"width": 390, "height": 800})
    first.scroll_into_view_if_needed()
    page.screenshot(path=out / "narrow.png")
    first.get_by_text("Edit (e)").click()
    first.locator("textarea").fill("Written before the restart.")
    (kernel,) = lab.ask("api/kernels")
    lab.ask(f"api/kernels/{kernel['id']}/restart", "POST")
    page.keyboard.press("Control+Enter")
    first.get_by_text("The kernel does not answer").wait_for()
    assert first.locator("textarea").input_value() == "Written before the restart."
    page.screenshot(path=out / "restarted.png")


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as p:
        folder = Path(name)
        packet(folder / "plan")
        written(folder / "try.ipynb")
        lab = Lab(folder)
        try:
            lab.wait()
            page = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]).new_page()
            page.set_viewport_size({"width": 1400, "height": 1400})
            page.goto(f"http://127.0.0.1:{lab.port}/lab/tree/try.ipynb?token={lab.token}")
            page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=60_000)
            used(page, lab, folder, out)
        finally:
            lab.stop()
    print(f"both widgets work; pictures: {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
