"""The window: what its keys show, on a driver that needs no screen, and on a real one."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from facereg import views
from facereg.cli import main
from facereg.components import EndRun, Run, Status
from facereg.errors import SinkError, UsageError
from facereg.sinks.display import keys, screen
from facereg.sinks.display.keys import NUMBER_KEYS
from facereg.sinks.display.state import mirrored
from facereg.sinks.window import WindowSink
from facereg.types import Frame, FrameResult, Image, SourceInfo
from tests import clips
from tests.sinks import two_people, xvfb
from tests.sinks.two_people import looks_like

WHITE = FrameResult(Frame(np.full((480, 640, 3), 255, np.uint8)))
LIVE = SourceInfo("people", 640, 480, Fraction(25), live=True)
FILE = replace(LIVE, live=False)
RESULT = two_people.result()


def at(index: int, moment: float | None = None, result: FrameResult = RESULT) -> FrameResult:
    """Give a result an index and a time; now, if none is said."""
    now = time.monotonic()
    moment = now if moment is None else moment
    clock = datetime.now(timezone.utc) - timedelta(seconds=now - moment)
    return replace(result, frame=replace(result.frame, index=index, time=moment, clock=clock))


def test_every_key_does_something() -> None:
    for key in keys.KEYS:
        assert callable(getattr(WindowSink, f"do_{key.action}"))


def test_an_unknown_view_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="overlay"):
        WindowSink(view="overlai")


# A window without a screen: SDL's driver for tests


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., WindowSink]]:
    """Return a function that opens a window on SDL's dummy driver, for a source."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    opened: list[WindowSink] = []

    def open_window(
        info: SourceInfo = LIVE, run: Run | None = None, **options: object
    ) -> WindowSink:
        sink = WindowSink(folder=tmp_path, **options)  # type: ignore[arg-type]
        opened.append(sink)
        sink.open(info, run or Run())
        return sink

    yield open_window
    for sink in opened:
        sink.close()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Image, str, bool]]:
    """Collect what windows show: the picture, the line below, and whether the dot is there."""
    pictures: list[tuple[Image, str, bool]] = []
    real = screen.Screen.show

    def show(self: screen.Screen, picture: Image, status: str, notes: object, dot: bool) -> None:
        pictures.append((picture, status, dot))
        real(self, picture, status, notes, dot)  # type: ignore[arg-type]

    monkeypatch.setattr(screen.Screen, "show", show)
    return pictures


Shown = list[tuple[Image, str, bool]]
Opener = Callable[..., WindowSink]


def test_runs_without_a_screen(window: Opener, shown: Shown) -> None:
    sink = window()
    sink.write(at(0))
    picture, status, dot = shown[-1]
    assert np.array_equal(picture, views.overlay(RESULT))
    assert "2 faces" in status
    assert not dot


def test_a_name_that_is_not_utf8_is_shown_as_escapes(window: Opener, shown: Shown) -> None:
    sink = window(replace(FILE, name="caf\udce9\x1b.mp4"))
    own = sink._screen._window  # type: ignore[union-attr]
    assert own.title == r"caf\xe9\x1b.mp4 - facereg"
    sink._status.report("saved caf\udce9.png")
    sink.write(at(0))
    assert shown[-1][1] == "saved caf\udce9.png"


def test_a_camera_is_mirrored_and_what_it_saves_is_not(
    window: Opener, shown: Shown, tmp_path: Path
) -> None:
    sink = window(replace(LIVE), mirror=True)
    sink.press("n")
    sink.write(at(0))
    sink.press("n")
    one = replace(RESULT, faces=RESULT.faces[:1])
    assert np.array_equal(shown[-1][0], views.overlay(mirrored(one)))
    sink.press("s")
    (saved,) = tmp_path.glob("facereg-*.png")
    assert np.array_equal(cv2.imread(str(saved)), views.overlay(one))
    assert sink.outputs == (str(saved),)
    sink.press("m")
    assert np.array_equal(shown[-1][0], views.overlay(one))


def test_the_window_asks_the_source_whether_to_mirror(window: Opener, shown: Shown) -> None:

    sink = window(SourceInfo("camera 0", 640, 480, live=True, mirror=True), view="raw")
    sink.write(at(0))
    assert np.array_equal(shown[-1][0], RESULT.frame.image[:, ::-1])
    window(LIVE, view="raw").write(at(0))
    assert np.array_equal(shown[-1][0], RESULT.frame.image)


def test_plus_and_minus_change_the_colours(window: Opener, shown: Shown) -> None:
    sink = window()
    sink.write(at(0))
    plain = RESULT.frame.image.astype(int)
    changes = []
    for key in ("a", "+", "-", "-"):
        sink.press(key)
        changes.append(np.abs(shown[-1][0] - plain).mean())
    assert changes[1] > changes[0] > changes[3]
    assert changes[2] == changes[0]
    for _ in range(20):
        sink.press("-")
    assert np.abs(shown[-1][0] - plain).mean() > 0


def test_blur_follows_the_selected_region(window: Opener, shown: Shown) -> None:
    sink = window()
    sink.write(at(0))
    for pressed, view in (("b", "blur:face"), ("3", "blur:eyes"), ("b", "overlay")):
        sink.press(pressed)
        assert np.array_equal(shown[-1][0], views.view(view)(RESULT)), pressed
    for pressed, view in (("5", "isolated:lips"), ("b", "blur:lips"), ("g", "gallery")):
        sink.press(pressed)
        assert np.array_equal(shown[-1][0], views.view(view)(RESULT)), pressed


@pytest.mark.slow
def test_pausing_a_live_source_freezes_the_picture_and_goes_on_recording(
    window: Opener, shown: Shown, tmp_path: Path
) -> None:
    sink = window(view="raw")
    start = time.monotonic()
    sink.write(at(0, start))
    sink.press("r")
    sink.press("p")
    for i in range(1, 20):
        sink.write(at(i, start + i / 25, WHITE))
    assert np.array_equal(shown[-1][0], RESULT.frame.image)
    assert "paused" in shown[-1][1] or "recording" in shown[-1][1]
    sink.press("r")
    (saved,) = tmp_path.glob("facereg-*.mp4")
    assert clips.decoded(saved)[15].min() > 240
    sink.press("p")
    sink.write(at(20, start + 20 / 25, WHITE))
    assert shown[-1][0].min() == 255


def test_a_recording_that_is_started_in_a_pause_begins_with_the_present(
    window: Opener, shown: Shown, tmp_path: Path
) -> None:
    sink = window(view="raw")
    start = time.monotonic()
    sink.write(at(0, start))
    sink.press("p")
    for i in range(1, 60):
        sink.write(at(i, start + i / 25, WHITE))
        if i == 50:
            sink.press("r")
    sink.press("r")
    (saved,) = tmp_path.glob("facereg-*.mp4")
    pictures = clips.decoded(saved)
    assert len(pictures) == pytest.approx(10, abs=1)
    assert pictures[0].min() > 240


@pytest.mark.slow
def test_a_recording_shows_what_the_window_shows(
    window: Opener, shown: Shown, tmp_path: Path
) -> None:
    sink = window()
    start = time.monotonic()
    sink.write(at(0, start))
    assert not shown[-1][2]
    sink.press("r")
    assert shown[-1][2], "a red dot while it runs"
    for i in range(1, 10):
        sink.write(at(i, start + i / 25))
    sink.press("5")
    for i in range(10, 20):
        sink.write(at(i, start + i / 25))
    sink.press("g")  # of another size
    for i in range(20, 30):
        sink.write(at(i, start + i / 25))
    sink.press("r")
    assert not shown[-1][2]
    (saved,) = tmp_path.glob("facereg-*.mp4")
    assert sink.outputs == (str(saved),)
    found = clips.probe(saved)
    assert (found.width, found.height, found.codec) == (640, 480, "h264")
    assert found.frames == pytest.approx(30, abs=1)
    pictures = clips.decoded(saved)
    for index, view in ((5, "overlay"), (15, "isolated:lips")):
        expected = views.view(view)(RESULT).astype(int)
        assert np.abs(pictures[index] - expected).mean() < 4, view


@pytest.mark.slow
def test_a_recording_goes_on_through_a_stall(window: Opener, tmp_path: Path) -> None:
    sink = window()
    start = time.monotonic()
    sink.write(at(0))
    sink.press("r")
    while time.monotonic() - start < 1.5:
        sink.tick()
        time.sleep(0.05)
    sink.close()
    maximum = time.monotonic() - start
    (saved,) = tmp_path.glob("facereg-*.mp4")
    assert 1.0 <= float(clips.probe(saved).duration or 0) <= maximum + 0.1


def test_two_recordings_and_two_snapshots_have_names_of_their_own(
    window: Opener, tmp_path: Path
) -> None:
    sink = window()
    sink.write(at(0))
    for key in "srrsrr":
        sink.press(key)
    assert len(list(tmp_path.glob("facereg-*.mp4"))) == 2
    assert len(list(tmp_path.glob("facereg-*.png"))) == 2
    assert len(sink.outputs) == 4


def test_closing_finishes_a_recording(window: Opener, tmp_path: Path) -> None:
    sink = window()
    sink.write(at(0))
    sink.press("r")
    with pytest.raises(EndRun):
        sink.press("q")
    sink.close()
    (saved,) = tmp_path.iterdir()
    assert clips.probe(saved).frames >= 1
    assert sink.outputs == (str(saved),)


def test_a_recording_that_cannot_be_started_does_not_end_the_run(
    window: Opener, shown: Shown, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = window()
    sink.write(at(0))
    tmp_path.rmdir()
    try:
        sink.press("r")
        sink.press("s")
        sink.write(at(1))
    finally:
        tmp_path.mkdir()
    assert "no recording: " in caplog.text
    assert "no snapshot: " in shown[-1][1]


@pytest.mark.parametrize("key", ["q", "Q", "Esc"])
def test_quitting_keys_end_the_run(window: Opener, key: str) -> None:
    with pytest.raises(EndRun):
        window().press(key)


def test_a_key_or_a_closed_window_reaches_only_its_own_window(window: Opener, shown: Shown) -> None:
    import pygame

    first, second = window(view="raw"), window(view="raw")
    first.write(at(0))
    second.write(at(0))
    own = second._screen._window  # type: ignore[union-attr]
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_5, unicode="5", window=own))
    first.tick()  # either window reads the keys of both
    first.write(at(1))
    second.write(at(1))
    assert np.array_equal(shown[-2][0], RESULT.frame.image)
    assert np.array_equal(shown[-1][0], views.view("isolated:lips")(RESULT))
    pygame.event.post(pygame.event.Event(pygame.WINDOWCLOSE, window=own))
    with pytest.raises(EndRun):
        first.tick()


def test_full_screen_and_back(window: Opener) -> None:
    import pygame

    sink = window()
    sink.write(at(0))
    own = sink._screen._window  # type: ignore[union-attr]
    before = own.size
    sink.press("F11")
    assert own.size == pygame.display.get_desktop_sizes()[0]
    sink.write(at(1))
    sink.press("F11")
    assert own.size == before


@pytest.mark.slow
def test_a_file_plays_at_its_own_speed(window: Opener) -> None:
    sink = window(FILE)
    start = time.monotonic()
    for i in range(11):
        sink.write(at(i, i / 25))
    assert time.monotonic() - start >= 10 / 25 - 0.01


def test_a_live_source_is_never_waited_for(window: Opener) -> None:
    sink = window(LIVE)
    start = time.monotonic()
    for i in range(5):
        sink.write(at(i, start + 100 * i))
    sink.press("p")
    for i in range(5, 10):
        sink.write(at(i, start + 100 * i))
    assert time.monotonic() - start < 90, "a frame is due in 100 seconds"


@pytest.mark.slow
def test_a_paused_file_waits_until_the_run_is_to_end(window: Opener) -> None:
    end = time.monotonic() + 0.5
    sink = window(FILE, Run(status=lambda: Status(stopping=time.monotonic() > end)))
    sink.press("p")
    sink.write(at(0, 0.0))
    assert time.monotonic() >= end


@pytest.mark.slow
def test_separate_pictures_are_held(window: Opener) -> None:
    sink = window(replace(FILE, stills=True, frame_count=3), hold=0.2)
    start = time.monotonic()
    for i in range(3):
        sink.write(at(i, i / 25))
    assert time.monotonic() - start >= 0.4 - 0.01


def test_a_missing_folder_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="no such folder"):
        WindowSink(folder=tmp_path / "none")


def test_no_display_names_ways_on_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform != "linux":
        pytest.skip("only Linux can be without a display")
    assert main(["run", "rtsp://127.0.0.1:1/never-opened", "-w"]) == 1
    out, err = capfd.readouterr()
    assert out == "", "pygame's greeting would be read as JSON"
    assert err.count("\n") == 1
    assert re.match(r"facereg: error: no display .*-o OUT.mp4 .*-m MASKDIR", err)


@pytest.mark.slow
def test_readme_command_passes_without_a_screen(tmp_path: Path, face_clip: Path) -> None:
    done = two_people.start(
        tmp_path,
        "-w",
        source=f"people:{face_clip},count=20",
        environment={"SDL_VIDEODRIVER": "dummy"},
    )
    out, errors = done.communicate(timeout=60)
    assert (done.returncode, errors) == (0, "")
    assert json.loads(out)["frames"] == 20


# A real window

needs_screen = xvfb.needs_screen


@pytest.fixture
def pressed(display: xvfb.Screen, tmp_path: Path) -> Iterator[Pressed]:
    """Open a window on the two people; return what presses its keys and looks at it."""
    run = two_people.start(tmp_path, "-w", environment=display.environment())
    try:
        window = display.window("people", run)
        keyboard = Pressed(display, window)
        keyboard.expect("", drawn("overlay"))
        yield keyboard
        display.press(window, "q")
        assert run.wait(xvfb.PATIENCE) == 0
    finally:
        run.kill()
        _, errors = run.communicate()
    assert errors == ""


@dataclass
class Pressed:
    """A keyboard, and an eye on the window."""

    display: xvfb.Screen
    window: int

    def expect(self, key: str, expected: Image) -> Image:
        """Press a key, if any, and wait until the window shows a picture."""
        if key:
            self.display.press(self.window, key)
        try:
            return xvfb.see(self.display, self.window, looks_like(expected))
        except AssertionError as e:
            raise AssertionError(f"{key or 'at the start'}: {e}") from e

    def see(self, test: Callable[[Image], bool], key: str = "") -> Image:
        """Press a key, if any, and wait until the window passes a test."""
        if key:
            self.display.press(self.window, key)
        return xvfb.see(self.display, self.window, test)


def drawn(view: str, result: FrameResult = RESULT) -> Image:
    """Draw what a view should show."""
    return views.view(view)(result)


@needs_screen
def test_number_keys_show_a_region_where_it_is_and_black_elsewhere(pressed: Pressed) -> None:
    for key, region in NUMBER_KEYS.items():
        shot = pressed.expect(key, drawn(f"isolated:{region}"))
        lit = shot[: two_people.STILL].any(axis=2)
        wanted = np.zeros((480, 640), bool)
        for _, regions in RESULT.painted():
            wanted[regions.box.slices] |= regions.mask(region)
        assert not lit[~wanted[: two_people.STILL]].any(), region
        assert lit.sum() > 0.9 * wanted.sum(), region


@needs_screen
def test_letter_keys_in_a_real_window(pressed: Pressed) -> None:
    expect = pressed.expect
    expect("o", drawn("raw"))
    expect("o", drawn("overlay"))
    expect("f", drawn("face"))
    expect("b", drawn("blur:face"))
    expect("5", drawn("blur:lips"))
    expect("b", drawn("overlay"))
    expect("plus", views.overlay(RESULT, strength=0.65))
    expect("minus", views.overlay(RESULT, strength=0.55))
    one = replace(RESULT, faces=RESULT.faces[:1])
    expect("n", drawn("overlay", one))
    expect("m", drawn("overlay", mirrored(one)))
    expect("m", drawn("overlay", one))
    expect("n", drawn("overlay", replace(RESULT, faces=RESULT.faces[1:])))
    expect("n", drawn("overlay"))
    pressed.see(lambda shot: bool(shot[200:300, 100:500].mean() < 60), "h")
    expect("h", drawn("overlay"))
    wide = cv2.resize(drawn("gallery"), (640, 320), interpolation=cv2.INTER_AREA)
    pressed.see(lambda shot: bool(near(shot[80:350, :640], wide[:270])), "g")
    expect("a", drawn("overlay"))


@needs_screen
def test_p_freezes_a_real_window_and_lets_it_go_on(pressed: Pressed) -> None:
    check_pause(pressed.display, pressed.window)


@needs_screen
def test_a_resized_window_keeps_the_aspect(pressed: Pressed) -> None:
    pressed.display.resize(pressed.window, 1000, 384 + screen.LINE_HEIGHT)
    half = cv2.resize(drawn("overlay"), (512, 384), interpolation=cv2.INTER_AREA)[:340]
    shot = pressed.see(lambda shot: shot.shape[1] > 900 and near(shot[:340, 244:756], half))
    assert not shot[:340, :244].any()
    assert not shot[:340, 756:].any()


def near(a: Image, b: Image) -> bool:
    """Say whether two pictures are alike."""
    return bool(np.abs(a.astype(int) - b).mean() < 1)


def check_pause(display: xvfb.Screen, window: int) -> None:
    """Press ``p`` twice: the number in the picture stands still, then goes on."""

    def number() -> int:
        return clips.number(display.shot(window)[two_people.STILL : 480, :640])

    display.press(window, "p")
    frozen = -1
    while frozen != (frozen := number()):
        time.sleep(0.2)
    time.sleep(0.5)
    assert number() == frozen
    display.press(window, "p")
    end = time.monotonic() + xvfb.PATIENCE
    while number() == frozen:
        assert time.monotonic() < end


@needs_screen
def test_r_leaves_a_playable_mp4_of_the_right_length(display: xvfb.Screen, tmp_path: Path) -> None:
    run = two_people.start(tmp_path, "-w", "-o", "all.mp4", environment=display.environment())
    try:
        window = display.window("people", run)
        xvfb.see(display, window, looks_like(views.overlay(RESULT)))
        display.press(window, "5")
        xvfb.see(display, window, looks_like(views.view("isolated:lips")(RESULT)))

        def dot(shot: Image) -> bool:
            return bool((shot[:60, 580:640] == (40, 40, 235)).all(axis=2).sum() > 50)

        before = time.monotonic()
        display.press(window, "r")
        xvfb.see(display, window, dot)
        started = time.monotonic()
        time.sleep(2)
        minimum = time.monotonic() - started
        display.press(window, "r")
        xvfb.see(display, window, lambda shot: not dot(shot))
        maximum = time.monotonic() - before
        display.press(window, "s")
        display.press(window, "Escape")
        assert run.wait(xvfb.PATIENCE) == 0
    finally:
        run.kill()
        out, errors = run.communicate()
    assert errors == ""
    (saved,) = tmp_path.glob("facereg-*.mp4")
    # Keys and screenshots take their time on a busy machine; the recording lies between them.
    assert minimum - 0.2 <= float(clips.probe(saved).duration or 0) <= maximum + 0.2
    lips = views.view("isolated:lips")(RESULT).astype(int)
    pictures = clips.decoded(saved)
    for picture in (pictures[0], pictures[-1]):
        assert np.abs(picture[: two_people.STILL] - lips[: two_people.STILL]).mean() < 3
    (snapshot,) = tmp_path.glob("facereg-*.png")
    assert looks_like(lips)(cv2.imread(str(snapshot)))
    names = {"all.mp4", saved.name, snapshot.name}
    assert {path.name for path in tmp_path.iterdir()} == names, "nothing half-done is left"
    assert {Path(path).name for path in json.loads(out)["outputs"]} == names
    assert clips.probe(tmp_path / "all.mp4").frames > 50
