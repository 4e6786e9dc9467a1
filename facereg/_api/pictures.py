"""From what users hand over to a frame: a path, an array or a PIL image."""

from __future__ import annotations

import sys
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from ..checks import describe_component, wrap_errors
from ..errors import SourceError, clean_text
from ..registry.registry import Registry
from ..sources.pictures import to_rgb
from ..types import Frame, Image

if TYPE_CHECKING:
    import PIL.Image

#: What `facereg.parse` takes: a file, an array of pixels, or a PIL image.
Picture: TypeAlias = Union[str, "PathLike[str]", NDArray[np.uint8], "PIL.Image.Image"]

#: What to do with things that are often taken for a picture, by the beginning of their type's name.
CURES = {
    "builtins.bytes": "decode them: PIL.Image.open(io.BytesIO(data))",
    "builtins.bytearray": "decode it: PIL.Image.open(io.BytesIO(data))",
    "builtins.memoryview": "decode it: PIL.Image.open(io.BytesIO(data))",
    "_io.": "open it: PIL.Image.open(file)",
    "builtins.list": "one picture at a time, or FaceParser().map(pictures); "
    "numbers as np.array(rows, np.uint8)",
    "builtins.tuple": "one picture at a time, or FaceParser().map(pictures)",
    "torch.": "as (H, W, 3) uint8 BGR: tensor.permute(1, 2, 0).flip(-1).numpy() of (3, H, W) RGB",
    "facereg.types.Frame": "its image: frame.image",
}


def to_frame(picture: Picture, registry: Registry) -> Frame:
    """Make a frame of a picture; an array is copied.

    Args:
        picture: see `facereg.parse`.
        registry: finds the source that reads a file.

    Raises:
        FaceregError: the file is missing, damaged or no picture.
        TypeError: it is neither a path, an array nor a PIL image.
        ValueError: the array or the PIL image has no pixels of 0 to 255.
    """
    if isinstance(picture, (str, PathLike)):
        return _first_frame(fspath(picture), registry)
    if isinstance(picture, np.ndarray):
        return Frame(_from_array(picture))
    pil = sys.modules.get("PIL.Image")  # a PIL image exists only if this is loaded
    if pil is not None and isinstance(picture, pil.Image):
        return Frame(_from_pil(picture))
    raise TypeError(_refusal(picture))


def _refusal(thing: object) -> str:
    kind = f"{type(thing).__module__}.{type(thing).__qualname__}"
    cure = next((cure for start, cure in CURES.items() if kind.startswith(start)), "")
    expected = "a path, an (H, W, 3) uint8 BGR array or a PIL image"
    name = "None" if thing is None else kind.removeprefix("builtins.")
    return f"a picture is {expected}, not {name}" + (f"; give {cure}" if cure else "")


def _first_frame(path: str, registry: Registry) -> Frame:
    if not isinstance(path, str):
        raise TypeError(_refusal(path))
    called = clean_text(path if len(path) <= 200 else f"{path[:100]}…")
    try:
        if not Path(path).exists():
            raise SourceError(f"{called}: no such file")
    except (OSError, ValueError) as e:  # too long for a name, or a null byte in it
        raise SourceError(f"{called}: not a file's name: {e.__class__.__name__}") from None
    # With a colon in it, a relative path could be taken for a source's name.
    source = registry.open_source(path if ":" not in path else str(Path(path).absolute()))
    name = describe_component("source", source)
    try:
        with wrap_errors(name, None, SourceError):
            for frame in source.frames():
                return frame
    finally:
        source.close()
    raise SourceError(f"{called}: no picture in it")


def _from_array(array: NDArray[np.uint8]) -> Image:
    """Copy an array into (H, W, 3) BGR; transparency is dropped."""
    shape = f"{array.shape} {array.dtype}"
    channels = array.shape[2:] or (1,)
    if array.ndim not in (2, 3) or channels[0] not in (1, 3, 4) or not array.size:
        cure = ""
        if array.ndim == 3 and array.shape[0] in (1, 3):
            cure = "; channels come last: np.transpose(array, (1, 2, 0))"
        elif array.ndim == 4:
            cure = "; one picture at a time, or FaceParser().map(array)"
        raise ValueError(f"a picture is (H, W, 3) uint8 BGR, not an array {shape}{cure}")
    if array.dtype != np.uint8:
        cure = "(255 * array).astype(np.uint8) if its values are 0 to 1"
        raise ValueError(f"a picture is (H, W, 3) uint8 BGR, not an array {shape}; {cure}")
    array = array.reshape(*array.shape[:2], channels[0])
    if channels[0] == 1:
        return np.repeat(array, 3, axis=2)
    return np.array(array[:, :, :3], order="C", subok=False)


def _from_pil(picture: PIL.Image.Image) -> Image:
    if not all(picture.size):
        raise ValueError(f"a picture is not empty: {picture.size[0]}x{picture.size[1]} pixels")
    return np.ascontiguousarray(to_rgb(picture)[..., ::-1])
