"""Events are found where they are known to be, and thresholds stand in the file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from facereg.cli import main
from facereg.measures import cells, columns, measure_face
from facereg.measures.events import Event, Track, find_events, perclos
from tests.measures.heads import SIZE, head

FPS = 25


def track(count: int = 250, **measures: object) -> Track:
    """Make a person with open eyes who looks straight ahead, changed by some measures."""
    usual = {"left_eye_opening": 0.3, "right_eye_opening": 0.3, "mouth_opening": 0.05}
    usual |= {"yaw": 0.0, "pitch": 5.0}
    noise = np.random.default_rng(0)
    values = {
        name: np.full(count, value) + noise.normal(0, 0.004, count) for name, value in usual.items()
    }
    for name, change in measures.items():
        values[name] = change(values[name])
    return Track(1, np.arange(count) / FPS, values, 1 / FPS)


def of_kind(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event.kind == kind]


def during(first: int, last: int, value: float | np.ndarray):
    def change(values: np.ndarray) -> np.ndarray:
        out = values.copy()
        out[first:last] = value
        return out

    return change


def test_a_blink_is_found_with_its_peak_and_completeness() -> None:
    closing = np.array([0.2, 0.1, 0.0, 0.1, 0.2])
    events = find_events(track(left_eye_opening=during(100, 105, closing)), 10.0)

    (blink,) = of_kind(events, "blink")
    assert blink.side == "left" and blink.measure == "left_eye_opening"
    assert blink.onset == pytest.approx(4.0) and blink.duration == pytest.approx(0.2)
    assert blink.peak == pytest.approx(4.08)
    assert blink.value == pytest.approx(1.0, abs=0.02)
    assert blink.baseline == pytest.approx(0.3, abs=0.01)
    assert blink.threshold == pytest.approx(blink.baseline / 2)


def test_half_a_blink_is_not_whole_and_less_is_none() -> None:
    (blink,) = of_kind(find_events(track(right_eye_opening=during(50, 53, 0.12)), 10.0), "blink")
    assert blink.value == pytest.approx(0.6, abs=0.02)
    assert not of_kind(find_events(track(right_eye_opening=during(50, 53, 0.2)), 10.0), "blink")


def test_eyes_that_stay_shut_are_closed_and_count_for_perclos() -> None:
    shut = during(100, 150, 0.0)
    person = track(left_eye_opening=shut, right_eye_opening=shut)
    events = find_events(person, 10.0)
    assert [e.side for e in of_kind(events, "eye_closed")] == ["left", "right"]
    assert not of_kind(events, "blink")
    assert perclos(person) == pytest.approx(0.2)


def test_an_eye_that_cannot_be_seen_does_not_blink() -> None:
    hidden = track(
        left_eye_opening=during(0, 250, np.nan), right_eye_opening=during(90, 99, np.nan)
    )
    assert not of_kind(find_events(hidden, 10.0), "blink")
    assert perclos(hidden) is None


def test_mouth_open_and_speech_are_told_apart() -> None:
    yawn = find_events(track(mouth_opening=during(100, 175, 0.6)), 10.0)
    (opened,) = of_kind(yawn, "mouth_open")
    assert opened.onset == pytest.approx(4.0) and opened.duration == pytest.approx(3.0)

    syllables = 0.12 + 0.08 * np.sin(2 * np.pi * 4 * np.arange(75) / FPS)
    (said,) = of_kind(find_events(track(mouth_opening=during(100, 175, syllables)), 10.0), "speech")
    assert said.onset == pytest.approx(4.0, abs=0.4)
    assert said.onset + said.duration == pytest.approx(7.0, abs=0.4)
    assert not of_kind(find_events(track(), 10.0), "speech")


def test_turns_are_relative_to_the_usual_pose() -> None:
    aside = track(yaw=lambda v: during(100, 150, 50.0)(v + 15))
    (turned,) = of_kind(find_events(aside, 10.0), "head_turned")
    assert turned.side == "left" and turned.baseline == pytest.approx(15, abs=0.1)
    assert turned.value == pytest.approx(35, abs=0.1)
    assert len(of_kind(find_events(aside, 10.0), "looked_away")) == 1
    (down,) = of_kind(find_events(track(pitch=during(10, 40, -30.0)), 10.0), "looked_away")
    assert down.measure == "pitch" and down.side == ""


def test_presence_goes_on_through_short_gaps_only() -> None:
    whole = track()
    kept = np.r_[0:100, 105:150, 200:225]
    person = Track(1, whole.times[kept], {k: v[kept] for k, v in whole.measures.items()}, 1 / FPS)
    events = find_events(person, 10.0)
    spans = [(e.onset, e.onset + e.duration) for e in of_kind(events, "face_present")]
    assert np.allclose(spans, [(0, 6), (8, 9)])
    spans = [(e.onset, e.onset + e.duration) for e in of_kind(events, "face_absent")]
    assert np.allclose(spans, [(6, 8), (9, 10)])


@pytest.fixture
def stats(tmp_path: Path) -> Path:
    """Write the statistics of a drawn head whose eyes are shut in frames 20 to 23."""
    pytest.importorskip("pandas", reason="pandas is not installed")
    names = ["index", "time", "id", "x0", "y0", "x1", "y1", "score", *columns()]
    path = tmp_path / "faces.csv"
    opened, shut = (
        cells(measure_face(*head(opening=opening), None, (SIZE, SIZE))) for opening in (0.35, 0.0)
    )
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, names, restval="")
        table.writeheader()
        for i in range(60):
            row = {"index": i, "time": i / FPS, "id": 1, "x0": 0, "y0": 0, "x1": 9, "y1": 9}
            table.writerow(row | {"score": 1} | (shut if 20 <= i < 24 else opened))
    return path


def test_drawn_eyes_that_close_for_known_frames_blink_there(stats: Path, tmp_path: Path) -> None:
    for ending in ("tsv", "json", "eaf"):
        assert main(["events", str(stats), str(tmp_path / f"a.{ending}")]) == 0
    with (tmp_path / "a.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    blinks = [row for row in rows if row["trial_type"] == "blink"]
    assert [(r["side"], r["onset"], r["duration"]) for r in blinks] == [
        ("left", "0.8", "0.16"),
        ("right", "0.8", "0.16"),
    ]
    assert all(float(row["threshold"]) < float(row["baseline"]) for row in blinks)
    found = json.loads((tmp_path / "a.json").read_text())
    assert len(found["events"]) == len(rows)
    assert found["people"]["1"]["perclos"] == pytest.approx(4 / 60, abs=1e-3)
    document = ET.parse(tmp_path / "a.eaf").getroot()
    assert len(document.findall(".//ALIGNABLE_ANNOTATION")) == len(rows)
    slots = {s.get("TIME_SLOT_ID"): s.get("TIME_VALUE") for s in document.iter("TIME_SLOT")}
    (tier,) = [t for t in document.iter("TIER") if t.get("TIER_ID") == "person 1 blink left"]
    (annotation,) = tier.iter("ALIGNABLE_ANNOTATION")
    assert slots[annotation.get("TIME_SLOT_REF1")] == "800"


def test_wrong_input_is_one_line(
    stats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", str(tmp_path / "no.csv"), str(tmp_path / "a.tsv")]) == 1
    assert main(["events", str(stats), str(tmp_path / "a.txt")]) != 0
    old = tmp_path / "old.csv"
    old.write_text("index,time,id,x0,y0,x1,y1,score\n0,0,1,0,0,5,5,1\n")
    assert main(["events", str(old), str(tmp_path / "a.tsv")]) == 1
    assert "run --stats again" in capsys.readouterr().err
    assert not list(tmp_path.glob("a.*"))
