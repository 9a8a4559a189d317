"""A browser for tests: foreign requests, dialogs and console errors of a page fail the test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.saga_monitor.memory_stream import Stream
from tests.saga_monitor.web.served import Served, served
from tests.saga_monitor.web.shop_history import every_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)

# Generous: on a busy machine a page may take many times as long as usual.
expect.set_options(timeout=60_000)


# For this package only: Playwright's event loop occupies the thread, so no asynchronous test can run meanwhile.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's chromium. Without it the tests fail instead of being skipped."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("no chromium: ./scripts/test installs it, as does 'apt-get install chromium'", pytrace=False)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def site(tmp_path: Path, stream: Stream) -> Iterator[Served]:
    """A served monitor with orders of every kind, read and judged."""
    every_kind(stream)
    with served(tmp_path / "monitor.sqlite3", stream) as site:
        site.read_up()
        site.watch.look()
        yield site


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a browser context of its own; asserts at the end that the page did nothing forbidden."""
    contexts, wrong = [], []

    def opened(url: str, *, expected: tuple[str, ...] = (), **how: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | how))
        contexts.append(context)
        own = url.split("/")[2]
        page = context.new_page()

        def complain(text: str) -> None:
            if not any(word in text for word in expected):
                wrong.append(text)

        def dismiss(dialog: Dialog) -> None:
            wrong.append(f"dialog {dialog.message}")
            dialog.dismiss()

        page.on("request", lambda r: None if r.url.split("/")[2] == own else wrong.append(f"asked {r.url}"))
        page.on("dialog", dismiss)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: complain(said.text) if said.type in {"error", "warning"} else None)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
