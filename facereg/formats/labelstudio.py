"""Label Studio: ``tasks.json`` with brush labels, a mask for each region of each face."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .labelled import NOBODY, Category, Picture, regions

FILE = "tasks.json"

#: A mask is stored as the bytes of an RGBA picture. The head of a stream of bits names their
#: number (32 bits), the bits of a value (5) and of a run's length (four times 4), each less one.
CHANNELS, WORD_BITS, SIZE_BITS = 4, 8, (3, 4, 8, 16)


def write(folder: Path, pictures: Iterable[Picture], categories: Sequence[Category]) -> None:
    """Write tasks, and ``labels.xml``, the labelling interface that they need."""
    rows = [
        f'    <Label value="{c.name}" background="#{bytes(c.color).hex()}"/>' for c in categories
    ]
    view = ["<View>", '  <Image name="image" value="$image"/>']
    view += ['  <BrushLabels name="tag" toName="image">', *rows, "  </BrushLabels>", "</View>", ""]
    (folder / "labels.xml").write_text("\n".join(view), encoding="utf-8")
    with (folder / FILE).open("w", encoding="utf-8") as file:
        file.write("[")
        for count, picture in enumerate(pictures):
            height, width = picture.labels.shape
            results = []
            for number, region in enumerate(regions(picture, categories)):
                value = {
                    "format": "rle",
                    "rle": encode(region.mask),
                    "brushlabels": [region.category.name],
                }
                result: dict[str, Any] = {
                    "id": f"{count}-{number}", "type": "brushlabels", "from_name": "tag",
                    "to_name": "image", "original_width": width, "original_height": height,
                    "image_rotation": 0, "value": value,
                }  # fmt: skip
                if region.person != NOBODY:
                    result["meta"] = {"text": [f"face {region.person}"]}
                results.append(result)
            name = picture.image.name if picture.image else f"{picture.name}.png"
            task = {"data": {"image": name}, "annotations": [{"result": results}]}
            file.write(",\n" * (count > 0) + json.dumps(task))
        file.write("]\n")


def encode(mask: NDArray[np.bool_]) -> list[int]:
    """Encode a mask as runs of equal bytes, each with a length of 16 bits."""
    values = np.repeat(np.where(mask.ravel(), 255, 0).astype(np.uint8), CHANNELS)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [values.size]])
    bits = [f"{values.size:032b}", f"{WORD_BITS - 1:05b}", *(f"{n - 1:04b}" for n in SIZE_BITS)]
    longest = 1 << SIZE_BITS[-1]
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        for at in range(start, stop, longest):
            length = min(longest, stop - at)
            bits.append(f"111{length - 1:016b}{values[start]:08b}")
    stream = "".join(bits)
    data = np.frombuffer(stream.encode(), np.uint8) - ord("0")
    packed: list[int] = np.packbits(data).tolist()
    return packed


def decode(runs: Sequence[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode a mask: a pixel is in it if its opacity is above one half."""
    stream = "".join(f"{byte:08b}" for byte in runs)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(stream[at - count : at], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    if total != shape[0] * shape[1] * CHANNELS:
        raise ValueError(f"{total} values for a picture of {shape[1]}x{shape[0]}")
    values, filled = np.zeros(total, np.uint8), 0
    while filled < total:
        is_run = take(1)
        length = 1 + take(sizes[take(2)])
        if is_run:
            values[filled : filled + length] = take(word)
        else:
            values[filled : filled + length] = [take(word) for _ in range(length)]
        filled += length
    opacity: NDArray[np.bool_] = values.reshape(*shape, CHANNELS)[..., -1] > 127
    return opacity


def read(path: Path) -> tuple[Sequence[str], Iterator[Picture]]:
    """Read a JSON export of tasks, or a folder with ``tasks.json``."""
    file = path if path.is_file() else path / FILE
    if not file.is_file():
        raise SourceError(f"{path}: no {FILE} in it")
    tasks = json.loads(file.read_text(encoding="utf-8"))
    names = ["background"]
    for task in tasks:
        for result in _results(task):
            names += [n for n in result["value"]["brushlabels"] if n not in names]

    def pictures() -> Iterator[Picture]:
        for index, task in enumerate(tasks):
            labels: NDArray[np.uint8] | None = None
            for result in _results(task):
                shape = (result["original_height"], result["original_width"])
                labels = np.zeros(shape, np.uint8) if labels is None else labels
                mask = decode(result["value"]["rle"], shape)
                labels[mask] = names.index(result["value"]["brushlabels"][0])
            name = Path(str(task["data"]["image"])).name
            where = file.parent / name
            if labels is not None:
                image = where if where.is_file() else None
                yield Picture(index, Path(name).stem, labels, image=image)

    return names, pictures()


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    found = (task.get("annotations") or task.get("predictions") or [{"result": []}])[0]["result"]
    return [result for result in found if "rle" in result.get("value", {})]
