"""A real headless Chromium, and pages opened in it as a user opens them: from a file, with no network."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READY = "html[data-ready]"


class FramesStopped(Exception):
    """Chromium draws this page no more: no animation frame in 10 seconds. It starts again in another process only."""


@dataclass
class Opened:
    """A page in the browser, and what it did that it must not.

    Attributes:
        page: Playwright's.
        complaints: console errors and warnings, exceptions, dialogs, requests.
    """

    page: object
    complaints: list[str] = field(default_factory=list)

    def scroll(self) -> None:
        """From top to bottom, as a reader does, so that every plot comes into view.

        Raises:
            FramesStopped: the browser has stopped to draw.
        """
        y = 0
        # A page grows as its plots are drawn.
        while y < self.page.evaluate("document.documentElement.scrollHeight"):
            self._scroll_to(y)
            y += 1000
        self._scroll_to(0)

    def _scroll_to(self, y: int) -> None:
        self.page.evaluate(f"scrollTo(0, {y})")
        self.check_frames()

    def check_frames(self) -> None:
        """Waits for two animation frames.

        Raises:
            FramesStopped: they do not come.
        """
        came = self.page.evaluate(
            """() => new Promise((done) => {
                setTimeout(() => done(false), 10_000);
                requestAnimationFrame(() => requestAnimationFrame(() => done(true)));
            })"""
        )
        if not came:
            raise FramesStopped("no frame in 10 seconds")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what waits for the page to draw.

        Raises:
            FramesStopped: in the place of Playwright's TimeoutError, where that is why.
        """
        from playwright.sync_api import TimeoutError as WaitedTooLong

        try:
            yield
        except WaitedTooLong:
            self.check_frames()
            raise

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def plots(self) -> list[dict]:
        """Every plot that can be seen: its label, its size, its figure's size, and the marks in it."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll(".plot")].filter((one) => one.checkVisibility()).map((one) => {
                const svg = one.querySelector("svg.main-svg");
                const box = one.getBoundingClientRect();
                const texts = [...one.querySelectorAll("svg.main-svg text")].map((it) => it.getBoundingClientRect());
                const isOut = (it) => it.width && (it.left < box.left - 1 || it.right > box.right + 1);
                return {
                    label: one.getAttribute("aria-label"),
                    width: box.width, height: box.height,
                    drawn: svg ? [svg.getBoundingClientRect().width, svg.getBoundingClientRect().height] : null,
                    marks: one.querySelectorAll(".point path, path.point, path.js-line, path.box").length,
                    texts: texts.length,
                    outside: texts.filter(isOut).length,
                };
            })"""
        )


@pytest.fixture(scope="session")
def playwright() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture
def browser(playwright) -> Iterator[object]:
    """A process for each test: one that has stopped drawing does so for ever."""
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)))
    # Chromium's sandbox does not start for root, as in a container.
    started = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
    yield started
    started.close()


@pytest.fixture
def open_page(browser, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """(HTML text, width, colour scheme, scripts) to the page, opened from a file and ready."""
    contexts = []

    def opening(html: str, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Opened:
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        opened = Opened(context.new_page())
        page, complaints = opened.page, opened.complaints
        page.on("console", lambda message: complaints.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))

        def request(route):
            url = route.request.url
            if url == file.as_uri() or url.startswith("data:image/"):
                route.continue_()
            else:
                complaints.append(f"request: {url}")
                route.abort()

        context.route("**/*", request)
        page.goto(file.as_uri())
        if scripts:
            page.wait_for_selector(READY, state="attached", timeout=30_000)
        return opened

    yield opening
    for context in contexts:
        context.close()
