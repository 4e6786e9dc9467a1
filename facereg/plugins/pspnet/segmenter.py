"""The built-in segmenter: a PSPNet on face crops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from ...components import Segmenter
from ...errors import ModelError, UsageError
from ...hookspecs import hookimpl
from ...models import find_model, load_card
from ...types import Detection, Frame, Image, Labels, RegionMasks
from .engines import Compute, import_torch


class FaceModel(Protocol):
    """What the segmenter needs of a model, whoever trained it."""

    def describe(self) -> dict[str, str]: ...
    def segment(self, frame: Frame, detections: Sequence[Detection]) -> list[RegionMasks]: ...
    def forget(self, track: int) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: Mapping[str, Any]) -> None: ...
    def parse_crop(self, image: Image, shape: tuple[int, int]) -> Labels: ...
    def close(self) -> None: ...


class PSPNetSegmenter(Segmenter):
    """Parse faces with a PSPNet (Zhao et al., CVPR 2017), all faces of a frame in one batch.

    Options:
        model: name of a shipped model; `facereg models` lists them.
        weights: a model file instead: NAME.safetensors beside its card NAME.json, or a checkpoint
            (.pt, .pth) of the upstream project or in the layout of the paper's author.
        engine: what computes; auto takes ONNX Runtime if the model has a file for it.
        precision: int8 needs ONNX Runtime, bf16 needs torch; auto takes the fastest.
        threads: number of threads to compute with; 0 is one for each core.
        device: where torch computes; auto takes a GPU if there is one.
        size: side of the crop in pixels, a multiple of 32; 0 is the model's own.
        scale: side of the crop over the mean side of the face's box; 0 is the model's own.
        tta: test-time augmentation: whether each face is parsed a second time, closer and mirrored,
            for better masks in twice the time; auto does so in pictures, not in video.
        smooth: whether a tracked face's masks are smoothed from frame to frame.
    """

    name = "pspnet"

    def __init__(
        self,
        *,
        model: str = "base",
        weights: Path | None = None,
        engine: Literal["auto", "torch", "onnx"] = "auto",
        precision: Literal["auto", "fp32", "bf16", "int8"] = "auto",
        threads: int = 0,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        size: int = 0,
        scale: float = 0.0,
        tta: Literal["auto", "on", "off"] = "auto",
        smooth: bool = True,
    ) -> None:
        foreign = weights is not None and weights.suffix != ".safetensors"
        if size < 0 or (size % 32 and not foreign):
            raise UsageError(f"size={size}: must be a multiple of 32, as 288 or 384")
        if scale < 0:
            raise UsageError(f"scale={scale}: must not be negative")
        if weights is not None and not weights.is_file():
            raise ModelError(f"{weights}: no such model file")
        self._model: FaceModel
        if foreign and weights is not None:
            import_torch(f"a checkpoint ({weights.name})")
            from .upstream import ForeignModel

            self._model = ForeignModel(weights, size, scale)
        else:
            from .model import TrainedModel

            found = find_model(model) if weights is None else load_card(weights)
            compute = Compute(engine, precision, threads, device)
            self._model = TrainedModel(found, size, scale, compute, tta=tta, smooth=smooth)

    def describe(self) -> dict[str, str]:
        return self._model.describe()

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> list[RegionMasks]:
        return self._model.segment(frame, detections) if detections else []

    def forget(self, track: int) -> None:
        self._model.forget(track)

    def state(self) -> dict[str, Any]:
        return self._model.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._model.restore(state)

    def parse_crop(self, image: Image, shape: tuple[int, int]) -> Labels:
        """Parse an image that is a face crop already, as datasets have them.

        Args:
            image: (H, W, 3) uint8 BGR.
            shape: height and width of the label map wanted.
        """
        return self._model.parse_crop(image, shape)

    def close(self) -> None:
        self._model.close()


@hookimpl
def register_segmenters() -> Iterable[type[Segmenter]]:
    """Register the built-in segmenter."""
    return [PSPNetSegmenter]
