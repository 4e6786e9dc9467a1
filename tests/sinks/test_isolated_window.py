"""``-i``: a window that begins with the chosen regions alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facereg import views
from facereg.cli import main
from facereg.components import Run
from facereg.sinks.window import WindowSink
from facereg.types import Image
from tests import clips
from tests.sinks import two_people, xvfb
from tests.sinks.two_people import looks_like

RESULT = two_people.result()
LIPS = views.view("isolated:lips")(RESULT)

needs_screen = xvfb.needs_screen


@pytest.fixture(autouse=True)
def dummy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Need no screen, unless a test brings its own."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def test_an_unknown_region_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "rtsp://127.0.0.1:1/never-opened", "-i", "nostril"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("facereg: error: unknown region 'nostril': ")


def test_its_keys_are_those_of_every_window(tmp_path: Path) -> None:
    sink = WindowSink(view="isolated:eyes+lips", folder=tmp_path)
    sink.open(two_people.TwoPeople("x").info, Run())
    try:
        sink.write(RESULT)
        for key in ("s", "n", "s", "a", "s"):
            sink.press(key)
    finally:
        sink.close()
    import cv2

    both = views.view("isolated:eyes+lips")
    one = two_people.result()
    one = type(one)(one.frame, one.faces[:1])
    saved = [cv2.imread(path) for path in sink.outputs]
    expected = [both(RESULT), both(one), views.overlay(one)]
    assert all(np.array_equal(a, b) for a, b in zip(saved, expected, strict=True))


@pytest.mark.slow
def test_recorded_from_the_command_line(tmp_path: Path) -> None:
    args = ("-o", "lips.mp4", "--view", "isolated:lips")
    source = "people:x,live=no,count=5"
    run = two_people.start(tmp_path, *args, source=source, environment={})
    out, errors = run.communicate(timeout=60)
    assert (run.returncode, errors) == (0, "")
    assert json.loads(out)["frames"] == 5
    for picture in clips.decoded(tmp_path / "lips.mp4"):
        assert np.abs(picture.astype(int) - LIPS).mean() < 2


@needs_screen
def test_works_beside_the_overlay_window(display: xvfb.Screen, tmp_path: Path) -> None:
    run = two_people.start(tmp_path, "-w", "-i", "lips,nose", environment=display.environment())
    try:
        whole, isolated = display.window("people", run), display.window("isolated people", run)
        wanted = views.view("isolated:lips+nose")(RESULT)
        shown(display, whole, views.overlay(RESULT))
        shown(display, isolated, wanted)
        display.press(isolated, "5")
        shown(display, isolated, LIPS)
        shown(display, whole, views.overlay(RESULT))
        display.press(whole, "o")
        shown(display, whole, RESULT.frame.image)
        shown(display, isolated, LIPS)
        display.press(isolated, "q")
        assert run.wait(xvfb.PATIENCE) == 0
    finally:
        run.kill()
        _, errors = run.communicate()
    assert errors == ""


def shown(display: xvfb.Screen, window: int, expected: Image) -> None:
    """Raise a window above all others, and see whether it shows a picture."""
    display.lift(window)
    xvfb.see(display, window, looks_like(expected))


@needs_screen
def test_the_real_model_shows_lips_where_they_are(display: xvfb.Screen, tmp_path: Path) -> None:
    """The astronaut and her mirror image, with the default detector and segmenter."""
    defaults = ("-i", "lips", "-d", "mtcnn", "-s", "pspnet")
    run = two_people.start(tmp_path, *defaults, environment=display.environment())
    try:
        window = display.window("isolated people", run)
        shot = xvfb.see(display, window, lambda shot: bool(shot[: two_people.STILL].any()))
        display.press(window, "q")
        assert run.wait(xvfb.PATIENCE) == 0
    finally:
        run.kill()
        run.communicate()
    lit = shot[: two_people.STILL].max(axis=2) > 0
    rows, columns = np.nonzero(lit)
    for x0, x1 in ((135, 195), (445, 505)):
        here = (columns >= x0) & (columns < x1) & (rows >= 136) & (rows < 185)
        assert here.sum() > 150, "both mouths are there"
    mouths = (
        (rows >= 136) & (rows < 185) & (((columns - 165) ** 2 < 900) | ((columns - 475) ** 2 < 900))
    )
    assert mouths.mean() > 0.98, "and nothing else is"
