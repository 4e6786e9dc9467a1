"""Parse pictures: `FaceParser` keeps its models, `parse` is the short way to it."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from ..checks import detect_faces, segment_faces
from ..errors import UsageError
from ..types import Face, FrameResult
from .components import DETECTOR, SEGMENTER, Loaded, Models
from .pictures import Picture, to_frame


class FaceParser:
    """Finds and parses the faces of pictures, with models that are loaded once.

    Any thread may call it. A process forked from this one may, too: it loads models of its own.

    Args:
        detector, segmenter: ``NAME`` or ``NAME:option=value,…``, as on the command line.
        plugins: plugin files to load first.

    Raises:
        FaceregError: a component cannot be found or loaded.

    >>> with facereg.FaceParser() as parser:
    ...     counts = [len(result.faces) for result in parser.map(["portrait.jpg", image])]
    >>> counts
    [1, 1]
    """

    def __init__(
        self,
        detector: str = DETECTOR,
        segmenter: str = SEGMENTER,
        plugins: Iterable[str | Path] = (),
    ) -> None:
        self._models = Models(detector, segmenter, plugins)
        self._models.load()

    def __call__(self, image: Picture) -> FrameResult:
        """Find and parse the faces of one picture; see `facereg.parse`."""
        return _parse(image, self._models.load())

    def map(self, images: Iterable[Picture], workers: int = 2) -> Iterator[FrameResult]:
        """Parse many pictures and yield their results in order, as soon as each is ready.

        Pictures are taken from ``images`` as they are needed, at most ``workers`` ahead of the
        result that is yielded, so memory stays bounded whatever their number.

        Args:
            images: anything that `facereg.parse` takes, in any iterable.
            workers: threads. Two read and detect in one picture while another is segmented; a third
                helps if pictures take long to read.

        Raises:
            FaceregError, TypeError, ValueError: as `facereg.parse`, for the first picture that
                fails; it ends the iteration.
            UsageError: fewer than 1 worker.

        >>> parser = facereg.FaceParser()
        >>> [result.frame.width for result in parser.map([image, image[:, :300]])]
        [512, 300]
        """
        if workers < 1:
            raise UsageError(f"workers={workers}: must be at least 1")
        return self._map(images, workers)

    def _map(self, images: Iterable[Picture], workers: int) -> Iterator[FrameResult]:
        pending: deque[Future[FrameResult]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="facereg-parse") as pool:
            try:
                for image in images:
                    pending.append(pool.submit(self, image))
                    if len(pending) > workers:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def close(self) -> None:
        """Release the models, when no thread uses them any more. It can be called again."""
        self._models.close()

    def __enter__(self) -> FaceParser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        # The process that unpickles it, as in a pool, loads the models again.
        return FaceParser, (self._models.detector, self._models.segmenter, self._models.plugins)

    def __repr__(self) -> str:
        names = self._models
        return f"FaceParser(detector={names.detector!r}, segmenter={names.segmenter!r})"


def parse(
    image: Picture,
    *,
    detector: str = DETECTOR,
    segmenter: str = SEGMENTER,
    plugins: Iterable[str | Path] = (),
) -> FrameResult:
    """Find and parse the faces of one picture. Models stay loaded from call to call.

    Args:
        image: a file's path; or uint8 pixels as OpenCV reads them: (H, W, 3) **BGR**, (H, W, 4)
            BGRA or (H, W) gray; or a PIL image. EXIF orientation is applied. Of a video, an
            animation or a document, the first picture is parsed.
        detector, segmenter: ``NAME`` or ``NAME:option=value,…``, as on the command line.
        plugins: plugin files to load first.

    Returns:
        The picture as a frame, and its faces. They are numbered from 1.

    Raises:
        FaceregError: the file cannot be read; a component cannot be found, or failed.
        TypeError: anything else than a path, an array or a PIL image.
        ValueError: an array that is no picture.

    >>> result = facereg.parse("portrait.jpg")
    >>> result.faces[0].regions.area("lips") > 100
    True
    """
    return _parse(image, _models(detector, segmenter, tuple(map(str, plugins))).load())


@functools.lru_cache(maxsize=4)
def _models(detector: str, segmenter: str, plugins: tuple[str, ...]) -> Models:
    return Models(detector, segmenter, plugins)


def _parse(image: Picture, loaded: Loaded) -> FrameResult:
    frame = to_frame(image, loaded.registry)
    with loaded.detecting:
        found = detect_faces(loaded.detector, frame)
    with loaded.segmenting:
        regions = segment_faces(loaded.segmenter, frame, found)
    pairs = enumerate(zip(found, regions, strict=True), start=1)
    faces = (Face(i if d.track is None else d.track, d, r) for i, (d, r) in pairs)
    return FrameResult(frame, tuple(faces), find_view=loaded.registry.view)
