"The rating widget in JupyterLab and a browser: keyboard use, a killed kernel, accessibility."

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

from crmeval.core.records import Response, Sample
from crmeval.people.plan import CRITERIA, make_plan, write_plan
from crmeval.people.session import read_session

CHROMIUM = next(
    (
        p
        for p in ("/usr/bin/chromium", shutil.which("chromium"), shutil.which("chromium-browser"))
        if p and Path(p).exists()
    ),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
for _module in ("playwright", "axe_playwright_python", "jupyterlab", "anywidget"):
    if find_spec(_module) is None:  # importing JupyterLab takes three seconds in every test process
        pytest.skip(f"{_module} is not installed", allow_module_level=True)

NASTY = (
    '<img src=x onerror="window.crmHurt=1"><script>window.crmHurt=1</script> '
    "\U0001f4e6 The order is late; a parcel was promised."
)
LONG = "Agent: Hello, how can I help?\nCaller: My order 4711 has not come. I was told Friday.\n" * 12


def packet(folder):
    calls = [
        Sample(
            f"s{i}",
            "service_call_summary",
            {"transcript": f"Call {i}.\n{LONG}"},
            key_facts=["The order is late."],
            cluster=f"call {i}",
        )
        for i in range(6)
    ]
    write_plan(
        make_plan(
            calls,
            [Response(s.id, "model:secret", f"{NASTY} ({s.id})", use_case=s.use_case) for s in calls],
            ["ann"],
            seed=5,
        ),
        folder,
    )
    return folder / "ann"


def notebook(path, code):
    cell = {
        "cell_type": "code",
        "id": "rate",
        "metadata": {},
        "source": code,
        "execution_count": None,
        "outputs": [],
    }
    path.write_text(
        json.dumps(
            {
                "cells": [cell],
                "metadata": {
                    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
                },
                "nbformat": 4,
                "nbformat_minor": 5,
            }
        )
    )


class Lab:
    "A separate JupyterLab on loopback."

    def __init__(self, folder, theme="JupyterLab Light"):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.token, own = secrets.token_hex(16), folder / "jupyter"
        settings = own / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(
            '{"fetchNews": "false", "checkForUpdates": false, "doNotDisturbMode": true}'
        )
        (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
        env = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": f"{own}/config",
            "JUPYTER_DATA_DIR": f"{own}/data",
            "JUPYTER_RUNTIME_DIR": f"{own}/runtime",
            "IPYTHONDIR": f"{own}/ipython",
            "JUPYTERLAB_SETTINGS_DIR": f"{own}/settings",
            "JUPYTERLAB_WORKSPACES_DIR": f"{own}/workspaces",
            "JUPYTER_TOKEN": self.token,
        }
        self.log = open(folder / "lab.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                "--expose-app-in-browser",
                "--ip=127.0.0.1",
                f"--port={self.port}",
                "--ServerApp.port_retries=0",
                f"--ServerApp.root_dir={folder}",
            ],
            env=env,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def ask(self, path, method="GET"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
            data=b"" if method == "POST" else None,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def wait(self, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError):
                return self.ask("api")
            time.sleep(0.2)
        raise AssertionError(
            f"JupyterLab did not start: {Path(self.log.name).read_text(encoding='utf-8')[-2000:]}"
        )

    def stop(self):
        with contextlib.suppress(OSError, ValueError):  # its kernels must end too
            for kernel in self.ask("api/kernels"):
                self.ask(f"api/kernels/{kernel['id']}", "DELETE")
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.log.close()


@pytest.fixture
def lab(tmp_path):
    packet(tmp_path / "plan")
    notebook(
        tmp_path / "rate.ipynb", "from crmeval.people.widget import rating_widget\nrating_widget('plan/ann')"
    )
    server = Lab(tmp_path)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser.new_page(viewport={"width": 1400, "height": 1100})
        finally:
            browser.close()


def run_cell(page):
    page.locator(".jp-StatusBar-Widget, #jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=30_000)
    page.locator(".jp-Notebook .cm-content").first.click()
    page.keyboard.press("Control+Enter")


def into_widget(page):
    "Press Tab until the focus moves from the cell's editor to the first criterion."
    for _ in range(40):
        if page.evaluate("document.activeElement.getAttribute('role') === 'radiogroup'"):
            return
        page.keyboard.press("Tab")
    raise AssertionError("Tab does not reach the criteria")


def said(page, text):
    page.locator(".crm-live", has_text=text).wait_for(timeout=10_000)


def serious(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=".crm-rate").response["violations"]
    return [
        (v["id"], v["impact"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")
    ]


def test_three_items_by_keyboard_a_killed_kernel_and_the_fourth(tmp_path, lab, page):
    errors = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    lab.wait()
    page.goto(f"http://127.0.0.1:{lab.port}/lab/tree/rate.ipynb?token={lab.token}")
    page.locator(".jp-Notebook .cm-content").first.wait_for(timeout=30_000)
    run_cell(page)
    widget = page.locator(".crm-rate")
    widget.locator("[role=radiogroup]").first.wait_for(timeout=20_000)
    assert widget.locator("img, script").count() == 0 and not page.evaluate("window.crmHurt"), (
        "model output must be shown as text"
    )
    assert "model:secret" not in widget.inner_text() and "<img src=x" in widget.inner_text()

    into_widget(page)
    for n in range(3):
        for i, c in enumerate(CRITERIA):
            page.keyboard.press(str(1 + (n + i) % 4))
            said(page, f"Saved: {c.replace('_', ' ').capitalize()} {1 + (n + i) % 4}")
        page.keyboard.press("Enter")
        said(page, f"{n + 1} of 6")
    page.keyboard.press("2")
    said(page, "Saved: Factuality 2")
    page.keyboard.press("u")
    said(page, "Taken back: Factuality 2")
    page.keyboard.press("e")
    page.keyboard.type("\U0001f4e6 The order")
    page.keyboard.press("Enter")
    said(page, "is marked")
    page.keyboard.press("Enter")
    said(page, "not rated yet")
    kept = read_session(tmp_path / "plan" / "ann")
    assert len({r.item for r in kept}) == 3 and [r.points for r in kept] == [
        1 + (n + i) % 4 for n in range(3) for i in range(4)
    ]

    assert serious(page) == []
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.locator('body[data-jp-theme-light="false"]').wait_for(state="attached", timeout=10_000)
    assert serious(page) == [], "in the dark theme"

    fourth = widget.locator(".crm-pane").nth(2).inner_text()
    (kernel,) = lab.ask("api/kernels")
    lab.ask(f"api/kernels/{kernel['id']}/restart", "POST")
    page.keyboard.press("4")  # ignored
    run_cell(page)
    page.locator(".crm-count", has_text="3 of 6 finished").wait_for(timeout=20_000)
    assert widget.locator(".crm-pane").nth(2).inner_text() == fourth
    assert read_session(tmp_path / "plan" / "ann") == kept
    into_widget(page)
    page.keyboard.press("3")
    said(page, "Saved: Factuality 3")
    assert len(read_session(tmp_path / "plan" / "ann")) == len(kept) + 1
    assert [
        e for e in errors if "crm" in e.lower() or "anywidget" in e.lower() or "rating" in e.lower()
    ] == [], errors
