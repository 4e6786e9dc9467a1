"""What convert writes is read back by programs that are not facereg's, pixel for pixel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facereg import regions
from facereg.cli import main
from facereg.formats import labelstudio
from tests.masks.dumps import dump
from tests.sinks.results import result

# Some releases of pycocotools use what numpy will remove.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FORMATS = ("coco", "cvat", "voc", "datumaro", "davis", "labelstudio")
COUNT = 6


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a dump of six frames with two faces, which knows whose each pixel is."""
    folder = tmp_path_factory.mktemp("dump") / "masks"
    dump(folder, [result(i, faces=2) for i in range(COUNT)], instances=True)
    return folder


@pytest.fixture(scope="module")
def truth(masks: Path) -> list[np.ndarray]:
    return [np.array(Image.open(masks / f"{i:06d}.png")) for i in range(COUNT)]


def convert(masks: Path, out: Path, kind: str) -> Path:
    assert main(["convert", str(masks), str(out), "--to", kind, "--quiet"]) == 0
    assert not list(out.parent.glob(".*"))
    return out


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_written_comes_back_as_a_dataset(
    masks: Path, truth: list[np.ndarray], tmp_path: Path, kind: str
) -> None:
    out, back = convert(masks, tmp_path / "out", kind), tmp_path / "dataset"
    images = tmp_path / "images"
    images.mkdir()
    names = [f"{i:06d}" for i in range(COUNT)]
    if kind == "davis":
        names = [f"facereg_{i:05d}" for i in range(COUNT)]
    for name in names:
        (images / f"{name}.jpg").write_bytes(b"a picture")
    line = ["convert", str(out), str(back), "--from", kind, "--images", str(images), "--quiet"]
    assert main(line) == 0
    for name, labels in zip(names, truth, strict=True):
        assert np.array_equal(np.array(Image.open(back / "labels" / f"{name}.png")), labels)
        assert (back / "images" / f"{name}.jpg").read_bytes() == b"a picture"
    listed = [(back / f"{split}.txt").read_text().split() for split in ("train", "val")]
    assert listed[0] + listed[1] == names


def test_pycocotools_reads_coco(masks: Path, truth: list[np.ndarray], tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    read = coco.COCO(
        str(convert(masks, tmp_path / "out", "coco") / "annotations/instances_default.json")
    )
    for image, labels in zip(read.imgs.values(), truth, strict=True):
        found = np.zeros_like(labels)
        for annotation in read.loadAnns(read.getAnnIds(image["id"])):
            mask = read.annToMask(annotation).astype(bool)
            assert not found[mask].any()
            assert annotation["attributes"]["face_id"] in (1, 2)
            found[mask] = annotation["category_id"]
        assert np.array_equal(found, labels)


def datumaro_items(path: Path, kind: str) -> Iterator[tuple[str, np.ndarray]]:
    """Read a dataset with datumaro: the name of each picture, and its label map by class names."""
    datumaro = pytest.importorskip("datumaro", reason="datumaro is not installed")
    dataset = datumaro.Dataset.import_from(str(path), kind)
    names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
    for item in dataset:
        labels: np.ndarray | None = None
        for one in item.annotations:
            if one.type == datumaro.AnnotationType.mask:
                labels = np.zeros(one.image.shape, np.uint8) if labels is None else labels
                labels[one.image.astype(bool)] = regions.IDS[names[one.label]]
        assert labels is not None
        yield item.id, labels


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["coco_instances", "voc_segmentation", "datumaro"])
def test_datumaro_reads_it(masks: Path, truth: list[np.ndarray], tmp_path: Path, kind: str) -> None:
    out = convert(masks, tmp_path / "out", kind.split("_", maxsplit=1)[0])
    found = dict(datumaro_items(out, kind))
    for i, labels in enumerate(truth):
        assert np.array_equal(found[f"{i:06d}"], labels)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_supervision_reads_coco(masks: Path, truth: list[np.ndarray], tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    out = convert(masks, tmp_path / "out", "coco")
    for i, labels in enumerate(truth):
        Image.fromarray(np.zeros((*labels.shape, 3), np.uint8)).save(tmp_path / f"{i:06d}.png")
    read = supervision.DetectionDataset.from_coco(
        str(tmp_path), str(out / "annotations/instances_default.json"), force_masks=True
    )
    for (_, _, found), labels in zip(read, truth, strict=True):
        again = np.zeros_like(labels)
        for mask, number in zip(found.mask, found.class_id, strict=True):
            again[mask] = regions.IDS[read.classes[number]]
        assert np.array_equal(again, labels)


@pytest.mark.filterwarnings("ignore")
def test_label_studio_reads_its_masks(masks: Path, truth: list[np.ndarray], tmp_path: Path) -> None:
    brush = pytest.importorskip(
        "label_studio_sdk.converter.brush", reason="label-studio-sdk is not installed"
    )
    tasks = json.loads((convert(masks, tmp_path / "out", "labelstudio") / "tasks.json").read_text())
    for task, labels in zip(tasks[:2], truth[:2], strict=True):
        found = np.zeros_like(labels)
        for one in task["annotations"][0]["result"]:
            values = brush.decode_rle(one["value"]["rle"])
            mask = values.reshape(*labels.shape, 4)[..., 3] > 0
            found[mask] = regions.IDS[one["value"]["brushlabels"][0]]
        assert np.array_equal(found, labels)
    mask = truth[0] == 1
    theirs = brush.encode_rle(np.repeat(np.where(mask.ravel(), 255, 0).astype(np.uint8), 4))
    assert np.array_equal(labelstudio.decode(theirs, mask.shape), mask)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_trackeval_reads_mots(masks: Path, tmp_path: Path) -> None:
    trackeval = pytest.importorskip("trackeval", reason="trackeval is not installed")
    rle = pytest.importorskip("pycocotools.mask")
    out = convert(masks, tmp_path / "out", "mots")
    config: dict[str, Any] = {
        "GT_FOLDER": str(out), "TRACKERS_FOLDER": str(tmp_path / "trackers"),
        "GT_LOC_FORMAT": "{gt_folder}/instances_txt/{seq}.txt", "SPLIT_TO_EVAL": "val",
        "SEQ_INFO": {"0000": COUNT}, "CLASSES_TO_EVAL": ["pedestrian"], "PRINT_CONFIG": False,
    }  # fmt: skip
    theirs = tmp_path / "trackers" / "own" / "data"
    theirs.mkdir(parents=True)
    (theirs / "0000.txt").write_text((out / "instances_txt" / "0000.txt").read_text())
    data = trackeval.datasets.KittiMOTS(config).get_raw_seq_data("own", "0000")
    assert data["num_timesteps"] == COUNT
    for i in range(COUNT):
        stored = np.array(Image.open(out / "instances" / "0000" / f"{i:06d}.png"))
        for number, mask in zip(data["gt_ids"][i], data["gt_dets"][i], strict=True):
            assert np.array_equal(rle.decode(mask).astype(bool), stored == number)
        assert set(np.unique(stored)) == {0, *data["gt_ids"][i].tolist()}


def test_davis_is_paletted_label_maps(masks: Path, truth: list[np.ndarray], tmp_path: Path) -> None:
    out = convert(masks, tmp_path / "out", "davis")
    assert (out / "ImageSets/2017/val.txt").read_text() == "facereg\n"
    for i, labels in enumerate(truth):
        with Image.open(out / f"Annotations/480p/facereg/{i:05d}.png") as image:
            assert image.mode == "P"
            assert np.array_equal(np.array(image), labels)


def test_labels_of_others_are_mapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "voc"
    (folder / "SegmentationClass").mkdir(parents=True)
    rows = ["background:0,0,0::", "l_brow:1,1,1::", "beard:2,2,2::", "blob:3,3,3::"]
    (folder / "labelmap.txt").write_text("\n".join(rows))
    values = np.repeat(np.arange(4, dtype=np.uint8)[:, None], 3, axis=1)
    Image.fromarray(np.dstack([values] * 3)).save(folder / "SegmentationClass" / "a.png")
    line = ["convert", str(folder), str(tmp_path / "out"), "--from", "voc", "--map", "beard=hair"]
    assert main(line) == 0
    labels = np.array(Image.open(tmp_path / "out" / "labels" / "a.png"))
    assert labels[:, 0].tolist() == [0, 2, 10, 255]
    said = capsys.readouterr().err
    assert "left out of training: blob" in said and "the images of 1 of 1" in said


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["{masks}", "{out}"], 2, "say --to FORMAT or --from FORMAT"),
        (["{masks}", "{out}", "--to", "coco", "--from", "coco"], 2, "say --to FORMAT or"),
        (["{masks}", "{out}", "--to", "coco", "--map", "a=skin"], 2, "belong to --from"),
        (["{masks}", "{out}", "--from", "mots"], 2, "holds people and no regions"),
        (["{masks}", "{out}", "--from", "coco"], 1, "no annotations/*.json in it"),
        (["{out}.no", "{out}", "--to", "voc"], 1, "no"),
        (["{masks}", "{masks}", "--to", "voc"], 1, "exists; name a new folder"),
        (["{bad}", "{out}", "--from", "cvat"], 1, "not as cvat writes it"),
        (["{bad}", "{out}", "--from", "coco"], 1, "not as coco writes it"),
        (["{masks}", "{out}", "--from", "voc", "--map", "x"], 2, "not LABEL=CLASS"),
    ],
)
def test_wrong_input_is_one_line(
    masks: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    message: str,
) -> None:
    (tmp_path / "bad.xml").write_text("<annotations><image id='0'></annotations>")
    known = {"masks": masks, "out": tmp_path / "out", "bad": tmp_path / "bad.xml"}
    try:
        ended = main(["convert", *(word.format(**known) for word in words)])
    except SystemExit as e:
        ended = int(e.code or 0)
    assert ended == code
    assert message in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.xml"]


def test_a_dump_that_does_not_know_whose_pixels_they_are_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(tmp_path / "masks", [result(i, faces=2) for i in range(4)])
    convert(tmp_path / "masks", tmp_path / "out", "datumaro")
    assert main(["convert", str(tmp_path / "masks"), str(tmp_path / "two"), "--to", "mots"]) == 1
    assert "instances=yes" in capsys.readouterr().err
