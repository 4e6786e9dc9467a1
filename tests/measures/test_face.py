"""Measures are right for heads of known shape, and missing with a reason where nothing is seen."""

from __future__ import annotations

import csv
import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

import facereg
from facereg.cli import main
from facereg.measures import MEASURES, Motion, columns, measure_face
from facereg.types import Face, Frame, FrameResult
from tests import clips
from tests.measures.heads import SIZE, head, landmarks


def measured(**how):
    return measure_face(*head(**how), None, (SIZE, SIZE))


@pytest.mark.parametrize("opening", [0.2, 0.35, 0.5])
@pytest.mark.parametrize("scale", [50.0, 100.0])
def test_the_opening_of_an_eye_is_its_height_over_its_width(opening, scale):
    found = measured(opening=opening, scale=scale)
    for side in ("left", "right"):
        value = found[f"{side}_eye_opening"]
        assert value == pytest.approx(opening, abs=0.05 * opening + 0.5 / (0.36 * scale))
        assert abs(value - opening) < 2 * found.errors[f"{side}_eye_opening"]
    assert found["scale"] == pytest.approx(scale, rel=0.02)


def test_a_closed_eye_has_the_opening_0_and_a_covered_one_none():
    closed = measured(opening=0)
    assert closed["left_eye_opening"] == closed["right_eye_share"] == 0
    covered = measured(covered=[(320, 190, 400, 290)])
    assert math.isnan(covered["left_eye_opening"]) and math.isnan(covered["left_brow_height"])
    assert covered.reasons["left_eye_opening"] == "the left eye is covered"
    assert covered["right_eye_opening"] == pytest.approx(0.3, rel=0.08)
    assert covered["left_eye_visible"] < 0.1 and covered["right_eye_visible"] == 1


@pytest.mark.parametrize("gap", [0.0, 0.2, 0.4])
def test_a_mouth_is_as_open_as_its_gap_is_high(gap):
    found = measured(gap=gap)
    assert found["mouth_opening"] == pytest.approx(gap, abs=0.03)
    assert found["upper_lip_thickness"] > 0


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (25, 0, 0), (-25, 10, 0), (0, -15, 20), (15, 15, -30)]
)
def test_a_pose_has_the_signs_that_the_docs_promise(yaw, pitch, roll):
    detection, regions = head()
    points = landmarks(yaw, pitch, roll)
    empty = replace(regions, labels=np.zeros_like(regions.labels))
    found = measure_face(replace(detection, landmarks=points), empty, None, (SIZE, SIZE))
    # The line of sight goes through the middle of the landmarks, and not between the eyes.
    assert [found[n] for n in ("yaw", "pitch", "roll")] == pytest.approx([yaw, pitch, roll], abs=2)
    assert found["scale"] == pytest.approx(100, rel=0.02)


def test_a_profile_gives_no_numbers_but_reasons():
    detection, regions = head()
    found = measure_face(replace(detection, landmarks=landmarks(70)), regions, None, (SIZE, SIZE))
    shape = [n for n in found if "opening" in n or "share" in n or "_lip_" in n or "brow_h" in n]
    assert len(shape) == 9
    for name in shape:
        assert math.isnan(found[name])
        assert "turned" in found.reasons[name]
    assert not found.usable and "turned" in found.unusable_because


def test_what_needs_landmarks_or_a_picture_says_so():
    detection, regions = head()
    found = measure_face(replace(detection, landmarks=None), regions, None, (SIZE, SIZE))
    for measure in MEASURES:
        if "landmarks" in measure.needs and measure.name != "speed":
            assert "landmarks" in found.reasons[measure.name]
        if measure.needs == ("picture",):
            assert "picture" in found.reasons[measure.name]
    assert found["left_eye_share"] > 0


def test_a_face_without_regions_has_no_measures():
    found = measure_face(head()[0], None, None)
    assert all(map(math.isnan, found.values()))
    assert not found.usable


def test_speed_is_in_distances_of_the_eyes_a_second():
    motion, (detection, regions) = Motion(), head()
    first = measure_face(detection, regions, None, (SIZE, SIZE))
    moved = replace(detection, landmarks=detection.landmarks + np.float32([10, 0]))
    labels = np.roll(regions.labels, 10, axis=1)
    second = measure_face(moved, replace(regions, labels=labels), None, (SIZE, SIZE))
    assert math.isnan(motion.follow(1, 0.0, first)["speed"])
    assert motion.follow(1, 0.1, second)["speed"] == pytest.approx(1.0, rel=0.05)
    assert math.isnan(motion.follow(1, 9.0, first)["speed"])  # too long ago


def test_every_name_is_a_column_with_unit_and_meaning():
    assert len(set(columns())) == len(columns())
    assert all(m.unit and m.meaning for m in MEASURES)


def test_a_mirrored_head_has_its_sides_swapped_and_its_yaw_negated():
    detection, regions = head(covered=[(320, 190, 400, 290)])
    points = landmarks(10)
    found = measure_face(replace(detection, landmarks=points), regions, None, (SIZE, SIZE))
    flipped = points[[1, 0, 2, 4, 3]] * np.float32([-1, 1]) + np.float32([SIZE - 1, 0])
    assert found["yaw"] > 0
    other = measure_face(replace(detection, landmarks=flipped), regions, None, (SIZE, SIZE))
    assert other["yaw"] < 0


@pytest.mark.slow
def test_a_pulse_of_one_percent_is_found():
    picture, rate, beat = clips.astronaut(), 25, 1.2
    result = facereg.parse(picture)
    face, rng = result.faces[0], np.random.default_rng(0)
    linear = np.where(picture / 255 <= 0.04045, picture / 255 / 12.92,
                      ((picture / 255 + 0.055) / 1.055) ** 2.4)  # fmt: skip
    green = []
    for i in range(250):
        light = linear * (1 + 0.005 * math.sin(2 * math.pi * beat * i / rate))
        coded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        noisy = coded * 255 + rng.normal(0, 2, picture.shape)
        image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        found = measure_face(face.detection, face.regions, image)
        green.append(found["left_cheek_g"])
    signal = np.array(green) - np.mean(green)
    power = np.abs(np.fft.rfft(signal)) ** 2
    rates = np.fft.rfftfreq(len(signal), 1 / rate)
    assert rates[power.argmax()] == pytest.approx(beat, abs=0.06)
    assert power.max() > 20 * np.median(power)
    height = 4 * np.sqrt(power.max()) / len(signal)  # from its lowest to its highest value
    assert height / np.mean(green) == pytest.approx(0.01, rel=0.25)


@pytest.mark.slow
def test_a_result_measures_its_faces_and_survives_a_pool_of_processes():
    result = facereg.parse(clips.astronaut())
    face = result.faces[0]
    assert face.measures is face.measures
    assert face.measures.usable
    assert 0.2 < face.measures["left_eye_opening"] < 0.6
    assert 0 < face.measures["left_cheek_g"] < 1
    copy = pickle.loads(pickle.dumps(result))
    again = copy.faces[0]
    assert again.measures["left_cheek_r"] == face.measures["left_cheek_r"]


def test_a_face_does_not_keep_its_frame_alive():
    detection, regions = head()
    face = Face(1, detection, regions)
    FrameResult(Frame(np.full((SIZE, SIZE, 3), 120, np.uint8)), (face,))
    assert "picture" in face.measures.reasons["exposure"]


@pytest.mark.slow
def test_a_dump_is_measured_without_the_model(face_clip, tmp_path):
    masks, stats, out = tmp_path / "masks", tmp_path / "a.csv", tmp_path / "b.csv"
    assert main(["run", str(face_clip), "-m", str(masks), "--stats", str(stats), "--quiet"]) == 0
    assert main(["measure", str(masks), "-o", str(out)]) == 0
    theirs, ours = (list(csv.DictReader(p.read_text().splitlines())) for p in (stats, out))
    assert len(theirs) == len(ours) == 10
    for a, b in zip(theirs, ours, strict=True):
        assert list(a) == list(b)
        for name in ("yaw", "left_eye_opening", "mouth_opening", "nose_visible", "lower_lip_area"):
            assert float(a[name]) == pytest.approx(float(b[name]), abs=0.01)
        assert b["chin_g"] == "" and a["chin_g"] != ""
    table = facereg.read_stats(out)
    assert table["usable"].dtype == "Int64" and table["yaw"].notna().all()


@pytest.mark.slow
def test_a_dump_without_landmarks_says_what_is_missing(face_clip, tmp_path, capsys):
    masks = tmp_path / "masks"
    assert main(["run", str(face_clip), "-m", str(masks), "--quiet"]) == 0
    lines = [json.loads(t) for t in (masks / "frames.jsonl").read_text().splitlines()]
    for line in lines:
        del line["line_crc32"]
        for face in line["faces"]:
            del face["landmarks"]
    (masks / "frames.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    assert main(["measure", str(masks), "-o", str(tmp_path / "b.jsonl")]) == 0
    assert "has no landmarks, which these measures need: scale" in capsys.readouterr().err
    rows = [json.loads(t) for t in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert "yaw" not in rows[0]["measures"] and "left_eye_share" in rows[0]["measures"]
    assert main(["measure", str(masks), "-o", str(tmp_path / "b.jsonl")]) == 1
    assert main(["measure", str(tmp_path / "no"), "-o", str(tmp_path / "c.csv")]) == 1
