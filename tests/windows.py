"""Windows of one browser that are used again: a page in a new one costs three times as much.

A new window is a new process, in which the scripts of our pages are compiled anew: 1.6 CPU seconds for a
report, and .5 in a window that has shown one. A page that is loaded is a new document, whatever stood there
before; size, medium, colours and listeners are given anew each time, and our pages store nothing, which a
test holds.
"""

from contextlib import contextmanager

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
]
DESK = {"width": 1280, "height": 900}


class Windows:
    "The windows of a browser; several are open at once where a test asks for several."

    def __init__(self, browser):
        self.browser, self.free, self.heard = browser, [], {}

    def open(self, viewport=DESK, color_scheme="light", new=False, **listeners):
        "A window to load a page in; listeners: event -> what hears it until the window is given back."
        page = self.free.pop() if self.free and not new else self.browser.new_page()
        page.set_viewport_size(viewport)
        page.emulate_media(media="screen", color_scheme=color_scheme, reduced_motion="no-preference")
        for event, heard in listeners.items():
            page.on(event, heard)
        self.heard[page] = listeners
        return page

    def give_back(self, page):
        for event, heard in self.heard.pop(page).items():
            page.remove_listener(event, heard)
        self.free.append(page)


@contextmanager
def windows(program):
    "Windows of a browser that lives as long as the block."
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=QUIET)
        yield Windows(browser)
        browser.close()
