"""A real browser to look at pages with, and what may not happen on them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# the machine may be busy with other tests
expect.set_options(timeout=60_000)

WATCH = """
window.violations = [];
addEventListener('securitypolicyviolation', e => window.violations.push(e.violatedDirective + ' ' + e.blockedURI));
"""


class View:
    """A page of the browser that remembers what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.add_init_script(WATCH)
        page.on("console", lambda each: self.errors.append(each.text) if each.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def check(self) -> None:
        """No console error, no policy violation, no script of telemetry ran, nothing wider than the window."""
        assert self.errors == []
        assert self.page.evaluate("window.violations") == []
        assert self.page.evaluate("window.hacked") is None
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@contextlib.contextmanager
def launched(path: str) -> Iterator[Browser]:
    """The browser at `path`, headless."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield found
        found.close()


@contextlib.contextmanager
def views(browser: Browser) -> Iterator[Callable[..., View]]:
    """What makes a fresh view: `view(width, height, theme)`."""
    contexts = []

    def make(width: int = 1360, height: int = 860, theme: str = "light") -> View:
        scheme = "dark" if theme == "dark" else "light"
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            timezone_id="Europe/Berlin",
            locale="en-GB",
        )
        contexts.append(context)
        context.set_default_timeout(60_000)
        return View(context.new_page())

    yield make
    for context in contexts:
        context.close()
