import os
import shutil

import pytest

FLAGS = [
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium():
    """The path of a Chromium that is installed, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests of a file. Where there is none they are skipped, and say so."""
    path = os.environ.get("CHROMIUM") or chromium()
    if path is None:
        pytest.skip("no Chromium is installed: the page was not opened. On Debian: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser was driven")
    with playwright.sync_playwright() as p:
        started = p.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


class Watched:
    """A page that was opened from a file, and everything that happened which should not."""

    def __init__(self, browser, **settings):
        self.context = browser.new_context(viewport={"width": 1000, "height": 640}, **settings)
        self.page = self.context.new_page()
        self.problems = []
        self.requests = []
        self.page.on("console", lambda m: self.problems.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.problems.append(f"error: {e}"))
        self.page.on("dialog", lambda d: (self.problems.append(f"dialog: {d.message}"), d.dismiss()))
        self.page.on("request", lambda r: self.requests.append(r.url))

    def open(self, path):
        self.page.goto(path.as_uri())
        return self.page


@pytest.fixture
def watched(browser):
    """A fresh page; at the end nothing was reported on its console, and nothing but its file was asked for."""
    one = Watched(browser)
    yield one
    one.context.close()
    assert one.problems == []
    assert [url for url in one.requests if not url.startswith("file:")] == []
    assert len(one.requests) == 1
