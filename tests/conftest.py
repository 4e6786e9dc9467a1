"""Clips for every test, made once a run. Take a fixture's file, never write to it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests import clips

#: Test modules that import torch, and so cannot be collected with the default install alone.
NEED_TORCH = (
    "commands/test_train.py",
    "plugins/pspnet/test_backbones.py",
    "plugins/pspnet/test_engines.py",
    "plugins/pspnet/test_network.py",
    "plugins/pspnet/test_upstream.py",
    "plugins/test_deepface.py",
    "training",
)
HAS_TORCH = importlib.util.find_spec("torch") is not None
collect_ignore = () if HAS_TORCH else NEED_TORCH


def pytest_report_header() -> str:
    return "" if HAS_TORCH else f"not run, as torch is not installed: {', '.join(NEED_TORCH)}"


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the clips of this run are in."""
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def face_clip(clip_folder: Path) -> Path:
    """One face that stays: 320x240, 25 fps, 10 frames, silent."""
    return clips.write_clip(clip_folder / "face.mp4", clips.still())


@pytest.fixture(scope="session")
def sound_clip(clip_folder: Path) -> Path:
    """One face, 320x240, 25 fps, 25 frames, with AAC sound."""
    return clips.write_clip(clip_folder / "sound.mp4", clips.still(25), audio="aac")


@pytest.fixture(scope="session")
def wma_clip(clip_folder: Path) -> Path:
    """One face, 320x240, 25 fps, 25 frames, with sound that MP4 cannot hold as it is."""
    return clips.write_clip(clip_folder / "wma.mkv", clips.still(25), audio="wmav2")


@pytest.fixture(scope="session")
def pan_clip(clip_folder: Path) -> Path:
    """A face that moves left by 4 pixels a frame: 384x288, 25 fps, 30 frames."""
    return clips.write_clip(clip_folder / "pan.mp4", clips.pan())


@pytest.fixture(scope="session")
def zoom_clip(clip_folder: Path) -> Path:
    """A face that grows: 384x288, 25 fps, 30 frames."""
    return clips.write_clip(clip_folder / "zoom.mp4", clips.zoom())


@pytest.fixture(scope="session")
def two_faces_clip(clip_folder: Path) -> Path:
    """Two faces side by side: 512x288, 25 fps, 20 frames."""
    return clips.write_clip(clip_folder / "two_faces.mp4", clips.two_faces())


@pytest.fixture(scope="session")
def no_face_clip(clip_folder: Path) -> Path:
    """A cup of coffee: 320x240, 25 fps, 10 frames."""
    return clips.write_clip(clip_folder / "no_face.mp4", clips.no_face())


@pytest.fixture(scope="session")
def odd_clip(clip_folder: Path) -> Path:
    """One face in 321x241 pixels, 25 fps, 10 frames."""
    return clips.write_clip(clip_folder / "odd.mp4", clips.still(10, 321, 241))


@pytest.fixture(scope="session")
def ntsc_clip(clip_folder: Path) -> Path:
    """Numbered frames at 24000/1001 fps: 160x120, 48 frames, with B-frames."""
    return clips.write_clip(clip_folder / "ntsc.mp4", clips.numbered(48), rate="24000/1001")


@pytest.fixture(scope="session")
def rotated_clip(clip_folder: Path) -> Path:
    """One face, upright at 240x320 only after the 90 degrees that its metadata asks for."""
    return clips.write_rotated(clip_folder / "rotated.mp4", clips.still(10, 240, 320))


@pytest.fixture(scope="session")
def variable_clip(clip_folder: Path) -> Path:
    """Numbered frames, 160x120, shown at `clips.JITTER`: jitter, a gap, then a lower rate."""
    frames = clips.numbered(len(clips.JITTER))
    return clips.write_variable(clip_folder / "variable.mp4", frames, clips.JITTER)


@pytest.fixture(scope="session")
def truncated_clip(clip_folder: Path) -> Path:
    """A panning face cut off after 60 % of its bytes: it claims 30 frames and holds fewer."""
    whole = clips.write_clip(clip_folder / "whole.mp4", clips.pan(), args=["-g", "3"])
    return clips.truncate(clip_folder / "truncated.mp4", whole)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny labelled dataset: views of the astronaut, labelled by the shipped model."""
    import cv2
    from PIL import Image

    from facereg.plugins.pspnet.segmenter import PSPNetSegmenter

    root = tmp_path_factory.mktemp("dataset")
    for part in ("images", "labels"):
        (root / part).mkdir()
    x0, y0, x1, y1 = clips.FACE
    segmenter = PSPNetSegmenter()
    for i in range(6):
        side = 170 + 8 * i
        x, y = (x0 + x1) // 2 - side // 2, max(0, (y0 + y1) // 2 - side // 2 - 8)
        crop = np.asarray(cv2.resize(clips.astronaut()[y : y + side, x : x + side], (192, 192)))
        cv2.imwrite(str(root / "images" / f"view{i}.png"), crop)
        labels = segmenter.parse_crop(crop, (192, 192))
        Image.fromarray(labels).save(root / "labels" / f"view{i}.png")
    (root / "train.txt").write_text("\n".join(f"view{i}" for i in range(5)))
    (root / "val.txt").write_text("view5\n")
    return root
