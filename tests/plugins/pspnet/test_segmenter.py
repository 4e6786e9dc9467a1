"""What the shipped model sees in real pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from facereg import Box, Detection, Frame, ModelError, RegionMasks, UsageError, parse
from facereg.models import find_model
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.types import Image
from tests import clips

FACE = Detection(Box(*clips.FACE), 1.0)


@pytest.fixture(scope="module")
def segmenter() -> PSPNetSegmenter:
    return PSPNetSegmenter()


def middle(regions: RegionMasks, name: str) -> tuple[float, float]:
    rows, columns = np.nonzero(regions.mask(name))
    assert len(rows) > 10, f"no {name}"
    return regions.box.x0 + columns.mean(), regions.box.y0 + rows.mean()


def gray(image: Image) -> Image:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        gray,
        lambda image: (image * 0.4).astype(np.uint8),
        lambda image: cv2.GaussianBlur(image, (0, 0), 2.0),
    ],
    ids=["as it is", "gray", "dark", "blurred"],
)
def test_the_astronauts_face_is_where_it_is(
    segmenter: PSPNetSegmenter, change: Callable[[Image], Image]
) -> None:
    frame = Frame(np.ascontiguousarray(change(clips.astronaut())))
    (regions,) = segmenter.segment(frame, [FACE])
    eyes, nose, mouth = (middle(regions, name) for name in ("eyes", "nose", "mouth"))
    assert eyes[1] < nose[1] < mouth[1]
    assert middle(regions, "eyebrows")[1] < eyes[1]
    for x, y in (eyes, nose, mouth):
        assert clips.FACE[0] < x < clips.FACE[2]
        assert clips.FACE[1] < y < clips.FACE[3]
    # The person's left is on the right of the picture.
    assert middle(regions, "right_eye")[0] < nose[0] < middle(regions, "left_eye")[0]
    assert regions.area("hair") > regions.area("nose")
    assert regions.area("skin") > 0.3 * FACE.box.area


def test_a_face_in_the_dark_is_parsed_as_in_the_light(segmenter: PSPNetSegmenter) -> None:
    light = clips.astronaut()
    (lit,), (dim,) = (
        segmenter.segment(Frame(np.asarray(image, np.uint8)), [FACE])
        for image in (light, light // 16)
    )
    assert (lit.labels == dim.labels).mean() > 0.985  # 0.962 as it is


@pytest.mark.parametrize("degrees", [-40, 25])
def test_a_leaning_face_is_parsed_in_its_own_upright(
    segmenter: PSPNetSegmenter, degrees: float
) -> None:
    centre = (float(np.mean(clips.FACE[::2])), float(np.mean(clips.FACE[1::2])))
    matrix = cv2.getRotationMatrix2D(centre, degrees, 1)
    frame = Frame(cv2.warpAffine(clips.astronaut(), matrix, (512, 512)))
    marks = np.array([[203, 113], [241, 108], [224, 132], [208, 150], [242, 146]], np.float32)
    marks = (marks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    (straight,) = segmenter.segment(Frame(clips.astronaut()), [FACE])
    (leaning,) = segmenter.segment(frame, [Detection(FACE.box, 1.0, marks)])
    for name in ("nose", "mouth", "eyes"):
        x, y = matrix @ [*middle(straight, name), 1]
        assert middle(leaning, name) == pytest.approx((x, y), abs=6)


def test_all_faces_of_a_frame_are_parsed_in_order(segmenter: PSPNetSegmenter) -> None:
    picture = np.hstack([clips.astronaut(), clips.astronaut()])
    x0, y0, x1, y1 = clips.FACE
    second = Detection(Box(x0 + 512, y0, x1 + 512, y1), 1.0)
    right, left = segmenter.segment(Frame(picture), [second, FACE])
    assert middle(right, "nose")[0] == pytest.approx(middle(left, "nose")[0] + 512, abs=3)


def test_nothing_to_parse_is_no_error(segmenter: PSPNetSegmenter) -> None:
    assert segmenter.segment(Frame(clips.coffee()), []) == []


def test_parse_finds_and_parses_a_picture() -> None:
    result = parse(clips.astronaut())
    assert len(result.faces) == 1
    assert result.faces[0].detection.box.iou(FACE.box) > 0.5
    labels = result.labels()
    assert labels.shape == (512, 512)
    assert (labels == 10).sum() > 2000  # her hair


@pytest.mark.parametrize("channels", [1, 4])
def test_parse_takes_gray_and_transparent_pictures(channels: int) -> None:
    code = cv2.COLOR_BGR2GRAY if channels == 1 else cv2.COLOR_BGR2BGRA
    assert len(parse(np.asarray(cv2.cvtColor(clips.astronaut(), code), np.uint8)).faces) == 1


@pytest.mark.slow
def test_torch_and_onnx_see_the_same() -> None:
    frame = Frame(clips.astronaut())
    maps = {
        engine: PSPNetSegmenter(engine=engine).segment(frame, [FACE])[0].labels
        for engine in ("torch", "onnx")
    }
    assert (maps["torch"] == maps["onnx"]).mean() > 0.98


@pytest.mark.slow
def test_a_face_that_nobody_follows_is_looked_at_twice() -> None:
    frame, followed = Frame(clips.astronaut()), replace(FACE, track=1)
    once, twice, auto = (PSPNetSegmenter(tta=tta) for tta in ("off", "on", "auto"))
    for face, like in ((FACE, twice), (followed, once)):
        (wanted,), (found,) = (s.segment(frame, [face]) for s in (like, auto))
        np.testing.assert_array_equal(found.labels, wanted.labels)
    (one,), (two,) = (s.segment(frame, [FACE]) for s in (once, twice))
    assert 0.97 < (one.labels == two.labels).mean() < 1


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_followed_face_that_moves_is_steadied(engine: str) -> None:
    segmenter = PSPNetSegmenter(engine=engine)
    followed = replace(FACE, track=1)
    for step in range(3):  # the picture moves in its crop
        image = np.ascontiguousarray(np.roll(clips.astronaut(), 3 * step, axis=1))
        (regions,) = segmenter.segment(Frame(image, step, step / 25), [followed])
    assert middle(regions, "eyes")[1] < middle(regions, "mouth")[1]


@pytest.mark.slow
def test_the_masks_of_several_faces_do_not_depend_on_the_threads() -> None:
    x0, y0, x1, y1 = FACE.box
    faces = [replace(FACE, box=Box(x0 + i, y0, x1 + i, y1), track=i) for i in range(3)]
    found = []
    for threads in (1, 2, 3, 4):  # one for all, some together with others, each its own
        segmenter = PSPNetSegmenter(threads=threads)
        for step in range(3):
            image = np.ascontiguousarray(np.roll(clips.astronaut(), 3 * step, axis=1))
            regions = segmenter.segment(Frame(image, step, step / 25), faces)
        segmenter.close()
        found.append([r.labels for r in regions])
    for labels in zip(*found, strict=True):
        for other in labels[1:]:
            np.testing.assert_array_equal(other, labels[0])


@pytest.mark.slow
def test_a_smaller_crop_is_an_option() -> None:
    small = PSPNetSegmenter(size=320)
    assert small.describe()["engine"].startswith("torch")
    (regions,) = small.segment(Frame(clips.astronaut()), [FACE])
    assert middle(regions, "eyes")[1] < middle(regions, "mouth")[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 250}, "size=250: must be a multiple of 32"),
        ({"engine": "torch", "precision": "int8"}, "precision=int8 needs engine=onnx"),
        ({"engine": "onnx", "precision": "bf16"}, "precision=bf16 needs engine=torch"),
        ({"model": "bass"}, "unknown model 'bass': did you mean base"),
        ({"scale": -1.0}, "must not be negative"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PSPNetSegmenter(**options)


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.safetensors: no such model file"):
        PSPNetSegmenter(weights=tmp_path / "none.safetensors")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the shipped model under another name, with its card."""
    model = find_model("base")
    weights = tmp_path / "copy.safetensors"
    weights.write_bytes(model.path.read_bytes())
    card = {key: value for key, value in model.card.items() if key != "files"}
    weights.with_suffix(".json").write_text(json.dumps(card))
    return weights


@pytest.mark.slow
def test_a_model_of_ones_own_loads_by_its_card(copied: Path) -> None:
    described = PSPNetSegmenter(weights=copied).describe()
    assert described["name"] == "copy"
    assert described["sha256"] == find_model("base").sha256


def test_a_damaged_model_is_refused(copied: Path) -> None:
    pytest.importorskip("torch")
    content = bytearray(copied.read_bytes())
    content[-1] ^= 1
    copied.write_bytes(content)
    with pytest.raises(ModelError, match=r"copy.safetensors: damaged: .*SHA-256"):
        PSPNetSegmenter(weights=copied)


def test_a_card_that_lacks_something_is_refused(copied: Path) -> None:
    copied.with_suffix(".json").write_text('{"architecture": "pspnet"}')
    with pytest.raises(ModelError, match="lacks config, classes"):
        PSPNetSegmenter(weights=copied)


@pytest.mark.slow
def test_a_card_of_another_network_is_refused(copied: Path) -> None:
    card = json.loads(copied.with_suffix(".json").read_text())
    card["config"]["width"] = 64
    copied.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="does not fit its card"):
        PSPNetSegmenter(weights=copied)
