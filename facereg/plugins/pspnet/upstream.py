"""Checkpoints of other projects: the upstream project's, and those in the paper author's layout.

Both are a PSPNet on a ResNet with a deep stem and output stride 8. Upstream's files hold
``model_state_dict``; the author's code (github.com/hszhao/semseg) writes ``state_dict`` with names
that start with ``module.``. They need no card: a file is recognised by its keys.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import ModelError
from ...models import sha256_of
from ...regions import CLASSES, GROUPS, IDS
from ...types import Box, Detection, Frame, Image, Labels, RegionMasks
from .backbones import Bottleneck, resnet_layers
from .crops import crop_matrix, cut, paste_labels, roll
from .engines import check_finite
from .network import BINS, MEAN, STD
from .soft import SoftRegions

#: The upstream project's 11 classes, by id, as facereg's classes and groups.
UPSTREAM_CLASSES = (
    "background",
    "skin",
    "eyebrows",
    "eyes",
    "nose",
    "lips",
    "mouth_interior",
    "hair",
    "eyelids",
    "ears",
    "glasses",
)
UPSTREAM_SIZE = 240
AUTHOR_SIZE = 473  # as the author's configurations train
AUTHOR_SCALE = 1.85


class DeepStemPSPNet(nn.Module):
    """The author's PSPNet, with the author's names of weights.

    Args:
        depths: blocks in layer1 to layer4; (3, 4, 6, 3) is ResNet-50.
        classes: number of classes.
    """

    def __init__(self, depths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.layer0 = nn.Sequential(
            *_conv_bn_relu(3, 64, 2),
            *_conv_bn_relu(64, 64, 1),
            *_conv_bn_relu(64, 128, 1),
            nn.MaxPool2d(3, 2, 1),
        )
        layers = resnet_layers(Bottleneck, depths, 128, output_stride=8)
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.ppm = AuthorPooling()
        self.cls = nn.Sequential(
            *_conv_bn_relu(4096, 512, 1), nn.Dropout2d(0.1), nn.Conv2d(512, classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits at the size of the input, rounded down as the author's code does."""
        # The author's inputs are 8 k + 1 wide and keep their size; upstream's 8 k as well.
        shape = [side if side % 8 == 1 else side // 8 * 8 for side in x.shape[2:]]
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.layer0(x)))))
        return F.interpolate(self.cls(self.ppm(x)), shape, mode="bilinear", align_corners=True)


def _conv_bn_relu(cin: int, cout: int, stride: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    conv = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
    return conv, nn.BatchNorm2d(cout), nn.ReLU(inplace=True)


class AuthorPooling(nn.Module):
    """Pyramid pooling with the author's names, aligned by corners."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(bins),
                nn.Conv2d(2048, 512, 1, bias=False),
                nn.BatchNorm2d(512),
                nn.ReLU(inplace=True),
            )
            for bins in BINS
        )

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        parts = [
            F.interpolate(branch(x), size, mode="bilinear", align_corners=True)
            for branch in self.features
        ]
        return torch.cat([x, *parts], 1)


def read_checkpoint(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Read a checkpoint as data alone, without running code from it.

    Returns:
        Its layout, ``upstream`` or ``author``, and its weights by name.

    Raises:
        ModelError: it can only be read by running code, or has neither layout.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old pickles; they load, or raise below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # a damaged file may make torch raise anything
        reason = " ".join(str(e).split())[:160]
        raise ModelError(
            f"{path}: cannot be read as weights alone, and is not run as code: {reason}"
        ) from e
    keys = {"model_state_dict": "upstream", "state_dict": "author"}
    for key, layout in keys.items():
        state = content.get(key) if isinstance(content, dict) else None
        if isinstance(state, dict) and all(isinstance(v, Tensor) for v in state.values()):
            return layout, {name.removeprefix("module."): v for name, v in state.items()}
    raise ModelError(
        f"{path}: not a known checkpoint: needs a dictionary of weights under "
        f"{' or '.join(map(repr, keys))}"
    )


def build(path: Path, state: dict[str, Tensor]) -> DeepStemPSPNet:
    """Make the network that fits a state; an auxiliary head in it is left out.

    Raises:
        ModelError: a name is missing, unknown or of another shape, or a weight is no number; the
            message names the first.
    """
    state = {key: value for key, value in state.items() if not key.startswith("aux.")}
    last = state.get("cls.4.weight")
    if last is None or last.ndim != 4 or len(last) not in (len(UPSTREAM_CLASSES), len(CLASSES)):
        shape = "missing" if last is None else f"of shape {tuple(last.shape)}"
        raise ModelError(
            f"{path}: does not fit: cls.4.weight is {shape}; the layouts have "
            f"{len(UPSTREAM_CLASSES)} or {len(CLASSES)} classes"
        )
    depths = [
        len({key.split(".")[1] for key in state if key.startswith(f"layer{i}.")})
        for i in range(1, 5)
    ]
    network = DeepStemPSPNet([max(1, depth) for depth in depths], int(last.shape[0]))
    own = network.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    unknown = [k for k in state if k not in own]
    shapes = [k for k in own if k in state and own[k].shape != state[k].shape]
    found = (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
    problems = [f"{what} {', '.join(keys[:3])}" for what, keys in found if keys]
    if problems:
        raise ModelError(f"{path}: does not fit: {'; '.join(problems)}")
    check_finite(path, state)
    network.load_state_dict(state, strict=False)
    return network.eval()


class ForeignModel:
    """A checkpoint of another project, run as its own project runs it.

    Args:
        path: the checkpoint.
        size: side of the crop in pixels, 0 for the layout's own.
        scale: side of the crop over the mean side of the face's box, 0 for the layout's own.

    Raises:
        ModelError: the file cannot be read or does not fit.
    """

    def __init__(self, path: Path, size: int, scale: float) -> None:
        layout, state = read_checkpoint(path)
        self._network = build(path, state)
        self._upstream = layout == "upstream"
        self._path, self._sha256 = path, sha256_of(path)
        classes = int(state["cls.4.weight"].shape[0])
        wanted = len(UPSTREAM_CLASSES) if self._upstream else len(CLASSES)
        if classes != wanted:
            raise ModelError(f"{path}: has {classes} classes; this layout needs {wanted}")
        self._size = size or (UPSTREAM_SIZE if self._upstream else AUTHOR_SIZE)
        self._scale = scale or AUTHOR_SCALE

    def describe(self) -> dict[str, str]:
        """Name the file and its checksum."""
        return {"name": self._path.name, "sha256": self._sha256}

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> list[RegionMasks]:
        """Parse every face of a frame."""
        one = self._boxed if self._upstream else self._levelled
        return [one(frame, d) for d in detections]

    def forget(self, track: int) -> None:
        """Do nothing: each frame is parsed by itself, as the checkpoint's own project does."""

    def state(self) -> dict[str, Any]:
        """Return nothing, as nothing is kept."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _levelled(self, frame: Frame, detection: Detection) -> RegionMasks:
        """Parse a crop framed as facereg does: the author's layout, with facereg's classes."""
        matrix = crop_matrix(detection, self._scale, self._size)
        crop = cut(frame.image, matrix, self._size)
        logits = self._logits(normalised(crop))
        box, labels = paste_labels(logits, matrix, self._size, frame.image.shape[:2])
        soft = SoftRegions.of(logits, matrix, self._size, box, face=detection.box)
        return RegionMasks(box, labels, soft)

    def _boxed(self, frame: Frame, detection: Detection) -> RegionMasks:
        """Parse the detector's box without a margin, as upstream does."""
        box = detection.box.clip(frame.width, frame.height)
        found = self.parse_upstream(frame.image[box.slices])
        size = (box.width, box.height)
        labels = cv2.resize(found, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return RegionMasks(box, with_sides(np.asarray(labels, np.uint8), detection))

    def parse_upstream(self, image: Image) -> Labels:
        """Return upstream's own label map of a face, (240, 240) uint8 of its 11 classes.

        Args:
            image: (h, w, 3) uint8 BGR, the detector's box.
        """
        return np.asarray(self._logits(gray_input(image, self._size)).argmax(0), np.uint8)

    def parse_crop(self, image: Image, shape: tuple[int, int]) -> Labels:
        """Parse a whole image as one face, to a label map of that height and width."""
        frame = Frame(image.copy())
        if self._upstream:
            detection = Detection(Box(0, 0, frame.width, frame.height), 1.0)
            labels = self._boxed(frame, detection).labels
        else:
            side = (self._size, self._size)
            crop = np.asarray(cv2.resize(image, side, interpolation=cv2.INTER_AREA), np.uint8)
            labels = np.asarray(self._logits(normalised(crop)).argmax(0), np.uint8)
        size = (shape[1], shape[0])
        return np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)

    def _logits(self, batch: Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(self._network(batch)[0].numpy(), np.float32)


def gray_input(image: Image, size: int = UPSTREAM_SIZE) -> Tensor:
    """Prepare a face as upstream does: gray, resized, 0 to 255, in three equal channels.

    It is resized as torchvision's ``Resize`` does with a uint8 tensor: in float32, with
    antialiasing, then rounded.

    Args:
        image: (h, w, 3) uint8 BGR.
        size: side of the result in pixels.

    Returns:
        (1, 3, size, size) float32.
    """
    gray = torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))[None, None].float()
    if gray.shape[2:] != (size, size):
        gray = F.interpolate(
            gray, (size, size), mode="bilinear", align_corners=False, antialias=True
        )
    return gray.round().clamp(0, 255).expand(1, 3, size, size).contiguous()


def normalised(crop: Image) -> Tensor:
    """Prepare a crop as the author's code does: RGB minus ImageNet's mean, over its deviation."""
    rgb = torch.from_numpy(crop[:, :, ::-1].copy()).permute(2, 0, 1)[None].float()
    mean = 255 * torch.tensor(MEAN).view(1, 3, 1, 1)
    std = 255 * torch.tensor(STD).view(1, 3, 1, 1)
    return (rgb - mean) / std


def with_sides(found: Labels, detection: Detection) -> Labels:
    """Turn upstream's 11 classes into facereg's.

    Upstream does not distinguish left from right. A pair is split along the face's middle line, and
    the lips at their middle height, so that each group holds exactly upstream's class.

    Args:
        found: (h, w) upstream ids, covering the detection's box.
        detection: the face.

    Returns:
        (h, w) facereg's ids.
    """
    box, marks = detection.box, detection.landmarks
    y, x = np.mgrid[: found.shape[0], : found.shape[1]].astype(np.float32)
    angle = 0.0 if marks is None else roll(marks)
    middle = (
        np.array([box.width, box.height]) / 2
        if marks is None
        else marks[:3].mean(0) - (max(box.x0, 0), max(box.y0, 0))
    )
    across = (x - middle[0]) * np.cos(angle) + (y - middle[1]) * np.sin(angle)
    down = (y - middle[1]) * np.cos(angle) - (x - middle[0]) * np.sin(angle)
    out = np.zeros_like(found)
    for upstream, name in enumerate(UPSTREAM_CLASSES):
        here = found == upstream
        if name in IDS:
            out[here] = IDS[name]
        elif here.any():
            line = down - np.median(down[here]) if name == "lips" else across
            first, second = GROUPS[name]  # lower and upper lip, or left and right
            out[here] = np.where(line[here] > 0, IDS[first], IDS[second])
    return out
