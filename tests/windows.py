"""Browser windows that are used again: a page in a new window costs three times as much.

A new window is a new process that compiles the scripts of the pages anew: 1.6 CPU seconds for a report, and
.5 in a window that has displayed one. Each loaded page is a new document; size, medium, colours and listeners
are set anew each time, and the pages store nothing, which a test checks.
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

# a function of cells that returns the matches of a pattern that span more than one line
_PARTED = """cells => cells.flatMap(cell => {
  const found = [], walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode())
    for (const m of node.data.matchAll(/LETTERS/g)) {
      const range = document.createRange();
      range.setStart(node, m.index);
      range.setEnd(node, m.index + m[0].length);
      if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) found.push(m[0]);
    }
  return found;
})"""


def parted_words(page, cells, letters):
    "Return words in the selected cells that a narrow page breaks; letters: the pattern of a word."
    return page.eval_on_selector_all(cells, _PARTED.replace("LETTERS", letters))


class Windows:
    "The windows of a browser; several can be open at once if a test needs them."

    def __init__(self, launch):
        self.launch, self.browser, self.free, self.heard = launch, launch(), [], {}

    def open(self, viewport=DESK, color_scheme="light", new=False, **listeners):
        "Return a window to load a page in; listeners: event -> function, removed by `give_back`."
        if not self.browser.is_connected():  # a browser crash costs one test, not all tests of the file
            self.browser, self.free = self.launch(), []
        page = self.free.pop() if self.free and not new else self.browser.new_page()
        page.set_viewport_size(viewport)
        still = {"reduced_motion": "no-preference", "forced_colors": "none"}
        page.emulate_media(media="screen", color_scheme=color_scheme, **still)
        for event, listener in listeners.items():
            page.on(event, listener)
        self.heard[page] = listeners
        return page

    def give_back(self, page):
        for event, listener in self.heard.pop(page).items():
            page.remove_listener(event, listener)
        self.free.append(page)


@contextmanager
def faultless(browser):
    """Yield (function that opens a window, addresses requested); at the end no page may have a fault.

    Faults are a message on the console, an error, an executed attack, and any number of headings but one.
    """
    pages, wrong, requests = [], [], []

    def go(**options):
        page = browser.open(
            **options,
            console=lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None,
            pageerror=lambda e: wrong.append(str(e)),
            request=lambda r: requests.append(r.url),
        )
        pages.append(page)
        return page

    yield go, requests
    for page in pages:
        assert page.evaluate("window.hit") is None and page.locator("h1").count() == 1
        browser.give_back(page)
    assert wrong == []


@contextmanager
def windows(program):
    "Yield the windows of a browser that is closed at the end of the block."
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        found = Windows(lambda: p.chromium.launch(executable_path=program, args=QUIET))
        yield found
        found.browser.close()
