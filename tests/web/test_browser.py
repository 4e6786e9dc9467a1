"""The page in a real Chromium: what it shows is read off the screen."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facereg import views
from facereg.regions import GROUPS, IDS
from facereg.types import Image
from tests.sinks import two_people
from tests.sinks.two_people import STILL
from tests.web.served import PATIENCE, Served, until

pytest.importorskip("starlette")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip

RESULT = two_people.result()
RAW = RESULT.frame.image
FRONT = '[data-camera="front"]'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("browser")
    with Served(folder, "front=people:x", "back=people:x", "--view", "raw") as served:
        served.wait_for("front", "back")
        yield served


@pytest.fixture
def page(browser: Any, server: Served) -> Iterator[Any]:
    """The page, on a large screen; what the browser complains of fails the test."""
    with visit(browser, server) as page:
        yield page
        plain(page, server)


class visit:  # noqa: N801 - used as a function
    """Open the page; a context manager."""

    def __init__(
        self, browser: Any, server: Served, query: str = "", *, expect: bool = True, **how: Any
    ) -> None:
        how.setdefault("viewport", {"width": 1600, "height": 1000})
        self.context = browser.new_context(**how)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        if expect:
            self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.set_default_timeout(1000 * PATIENCE)
        self.page.goto(server.url + "/" + query)

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert not self.complaints


def index(page: Any, camera: str = FRONT) -> int:
    """Number of the frame that the page shows."""
    return int(page.get_attribute(camera, "data-index") or -1)


def moves(page: Any, camera: str = FRONT) -> None:
    """Wait until the picture goes on."""
    seen: set[int] = set()
    until(lambda: len(seen.add(index(page, camera)) or seen - {-1}) > 3)


def shot(page: Any, camera: str = FRONT) -> Image:
    """What the screen shows of a camera, small."""
    found = page.locator(f"{camera} .picture:visible").screenshot()
    image = cv2.imdecode(np.frombuffer(found, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return small(image)


def small(image: Image) -> Image:
    """Make a picture so small that coding and scaling change little."""
    return np.asarray(cv2.resize(image, (160, 120), interpolation=cv2.INTER_AREA), np.uint8)


def shows(page: Any, expected: Image, most: float = 4.0) -> bool:
    """Whether a camera's picture is the expected one, but for scaling, coding and its badges."""
    part = slice(12, (STILL - 16) // 4)  # without the badges and the moving blocks
    return bool(np.abs(shot(page)[part].astype(int) - small(expected)[part]).mean() < most)


def plain(page: Any, server: Served) -> None:
    """Go back to the whole picture without colours."""
    page.keyboard.press("a")
    until(lambda: server.camera("front")["view"] == "raw")
    if server.camera("front")["colors"]:
        page.keyboard.press("o")
    until(lambda: not server.camera("front")["colors"])


def press(page: Any, action: str, region: str = "") -> None:
    page.click(f'button[data-action="{action}"]' + (f'[data-region="{region}"]' if region else ""))


@pytest.mark.parametrize("stream", ["h264", "jpeg"])
def test_the_picture_moves_and_is_the_right_one(browser: Any, server: Served, stream: str) -> None:
    with visit(browser, server, f"?stream={stream}") as page:
        moves(page)
        assert page.get_attribute(FRONT, "data-stream") == stream
        until(lambda: shows(page, RAW))
        assert page.locator(f"{FRONT} .faces").inner_text() == "2 faces"


def test_buttons_do_what_keys_do(page: Any, server: Served) -> None:
    moves(page)
    overlaid = views.overlay(RESULT)
    for act in (lambda: page.keyboard.press("o"), lambda: press(page, "overlay")):
        act()
        until(lambda: shows(page, overlaid))
        assert page.get_attribute('button[data-action="overlay"]', "aria-pressed") == "true"
        act()
        until(lambda: shows(page, RAW))
    nose = views.isolated(RESULT, (IDS["nose"],))
    assert not np.array_equal(nose, RAW)
    press(page, "region", "nose")
    until(lambda: shows(page, nose))
    plain(page, server)
    until(lambda: shows(page, RAW))
    page.keyboard.press("m")
    until(lambda: server.camera("front")["mirror"])
    press(page, "mirror")
    until(lambda: not server.camera("front")["mirror"])
    press(page, "pause")
    until(lambda: page.locator(f"{FRONT} .paused.on").is_visible())
    page.keyboard.press("p")
    until(lambda: not page.locator(f"{FRONT} .paused.on").is_visible())


def test_blurred_faces_stay_blurred_in_snapshots(page: Any, server: Served) -> None:
    moves(page)
    before = server.camera("front")
    page.keyboard.press("b")
    until(lambda: (server.camera("front")["view"] or "").startswith("blur:"))
    until(lambda: not shows(page, RAW, 1.0))
    with page.expect_download() as coming:
        page.keyboard.press("s")
    saved = cv2.imread(str(coming.value.path()))
    assert saved is not None
    group = GROUPS.get(before["region"]) or (before["region"],)
    hidden = np.isin(two_people.regions(two_people.FACES[0]).labels, [IDS[name] for name in group])
    change = np.abs(saved.astype(int) - RAW).max(axis=2)[two_people.FACES[0].slices]
    assert change[hidden].mean() > 3


def test_two_viewers_see_the_same(browser: Any, page: Any, server: Served) -> None:
    moves(page)
    with visit(browser, server) as other:
        moves(other)
        until(lambda: server.camera("front")["viewers"] >= 2)
        other.keyboard.press("g")
        until(lambda: (server.camera("front")["view"] or "") == "gallery")
        for each in (page, other):
            until(lambda each=each: not shows(each, RAW, 1.0))
        plain(page, server)
        until(lambda: shows(other, RAW))


def test_a_camera_that_is_killed_comes_back(page: Any, server: Served) -> None:
    moves(page)
    before = server.camera("front")["reconnects"] + server.camera("back")["reconnects"]
    for pid in server.children():
        if "commands import camera" in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)
    until(lambda: server.get("/healthz").status == 503)
    until(lambda: server.get("/healthz").status == 200)
    moves(page)
    until(lambda: shows(page, RAW))
    after = server.camera("front")["reconnects"] + server.camera("back")["reconnects"]
    assert after > before


def test_what_is_recorded_can_be_played(page: Any, server: Served) -> None:
    moves(page)
    page.keyboard.press("r")
    until(lambda: page.locator(f"{FRONT} .rec.on").is_visible())
    moves(page)
    press(page, "record")
    row = page.locator("#recordings li").first
    row.wait_for()
    assert "front" in row.inner_text()
    row.get_by_role("button").click()
    ready = "() => document.querySelector('#recording').readyState"
    until(lambda: page.evaluate(ready) >= 2)
    assert page.evaluate("() => document.querySelector('#recording').videoWidth") == 640
    page.keyboard.press("Escape")


def test_a_narrow_dark_page_has_everything(browser: Any, server: Served) -> None:
    small = {"width": 360, "height": 740}
    with visit(browser, server, viewport=small, color_scheme="dark", has_touch=True) as page:
        moves(page)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        page.click("#theme")
        assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != dark
        for button in page.locator("#buttons button").all():
            box = button.bounding_box()
            assert box["height"] >= 40, button.inner_text()  # a finger's width
        unnamed = """() => [...document.querySelectorAll('button, a, video, canvas, article')]
            .filter((e) => e.checkVisibility() && !(e.getAttribute('aria-label')
                || e.textContent.trim())).map((e) => e.outerHTML)"""
        assert page.evaluate(unnamed) == []
        page.locator("#help-button").click()
        assert page.locator("#keys tr").count() > 15


def test_everything_can_be_reached_with_the_keyboard(page: Any) -> None:
    moves(page)
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        what = "() => document.activeElement.dataset.action || document.activeElement.id"
        seen.add(page.evaluate(what))
    assert {"theme", "help-button", "overlay", "record", "snapshot", "blur"} <= seen


def test_a_token_goes_from_the_address_bar(browser: Any, tmp_path: Path) -> None:
    with Served(tmp_path, "front=people:x", "--token", "open-sesame-123456") as served:
        with visit(browser, served, expect=False) as page:
            assert page.locator(FRONT).count() == 0
        with visit(browser, served, "?token=wrong", expect=False) as page:
            assert page.locator(FRONT).count() == 0
        with visit(browser, served, "?token=open-sesame-123456") as page:
            moves(page)
            assert "token" not in page.url
            page.reload()
            moves(page)
