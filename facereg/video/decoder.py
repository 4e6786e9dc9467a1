"""Decode the pictures of a file or a stream, and count what could not be decoded."""

from __future__ import annotations

import gc
import os
import struct
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MediaError
from ..types import Image
from .cropping import Crop
from .damage import Damage
from .orientation import Orientation, read_orientation

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: Threads that decode a recording; each holds pictures of its own in memory.
MAX_THREADS = 4

#: Wall-clock times that wait for their pictures.
MAX_CLOCKS = 64

#: Reads that may fail one after the other before the rest of a file counts as unreadable.
MAX_FAILED_READS = 16


class Picture:
    """A decoded picture, which is converted when it is asked for.

    Attributes:
        time: seconds on the stream's own clock, exact; None if it has no time.
        clock: seconds since 1970 at which the camera took it, as the stream reports; None if it
            does not.
    """

    def __init__(
        self,
        frame: VideoFrame,
        tick: Fraction,
        clock: float | None = None,
        crop: Crop = Crop(),  # noqa: B008  (a constant)
    ) -> None:
        # AVI has no times to show pictures at, and they leave the decoder in the order of its dts.
        ticks = frame.dts if frame.pts is None else frame.pts
        self.time = None if ticks is None else ticks * tick
        self.clock = clock
        self._frame, self._crop = frame, crop

    @property
    def orientation(self) -> Orientation:
        """How it is to be turned."""
        from av.buffer import Buffer

        matrix = self._frame.side_data.get("DISPLAYMATRIX")
        return read_orientation(bytes(matrix) if isinstance(matrix, Buffer) else None)

    def image(self, orientation: Orientation) -> Image:
        """Convert to cropped, upright (H, W, 3) uint8 BGR; alpha is dropped.

        Raises:
            MediaError: there is no conversion from its pixel format.
        """
        import av

        try:
            image = self._frame.to_ndarray(format="bgr24", interpolation="BICUBIC")
        except (av.FFmpegError, ValueError) as e:
            raise MediaError(f"its frames cannot be turned into pictures: {e}") from e
        return orientation.apply(self._crop.apply(np.asarray(image, np.uint8)))


class Decoder:
    """Decodes the video of an open container. One damaged packet does not end it.

    Args:
        container: open for reading; `close` closes it.
        stream: the video of it.
        threads: that decode; each beyond the first delays the pictures by one. 0: one a core, up
            to `MAX_THREADS`.
        crop: what the container asks to cut off.

    Attributes:
        damage: what could not be decoded so far.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        threads: int = 0,
        crop: Crop = Crop(),  # noqa: B008  (a constant)
    ) -> None:
        self.damage = Damage()
        self._container, self._stream, self._crop = container, stream, crop
        self._tick = stream.time_base or Fraction(1)
        self._clocks: dict[int | None, float] = {}
        self._pictures = self._decode_all()
        self._keyed = False  # whether a key frame came, without which nothing can be decoded
        context = stream.codec_context
        context.thread_count = threads or min(os.cpu_count() or 1, MAX_THREADS)
        context.thread_type = "SLICE" if threads == 1 else "AUTO"

    def pictures(self) -> Iterator[Picture]:
        """Return the pictures in the order in which they are shown: always the same iterator.

        Raises:
            MediaError: nothing came within the time-out.
        """
        return self._pictures

    def _decode_all(self) -> Generator[Picture, None, None]:
        for packet in self._packets():
            yield from self._decode(packet)
        yield from self._decode(None)

    def close(self) -> None:
        """Close the container, and end the threads that decode."""
        self._pictures.close()
        self._container.close()
        del self._container, self._stream
        # A container and its streams refer to one another; the threads end with the streams.
        gc.collect()

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Read packets; go on after a failed read."""
        import av

        packets = failed = 0
        while failed < MAX_FAILED_READS:
            try:
                for packet in self._container.demux(self._stream):
                    failed = 0
                    packets += packet.dts is not None or packet.size > 0  # the last one is empty
                    if not packet.size:  # a dropped frame of an AVI; to the decoder it is the end
                        continue
                    self.damage.corrupt += packet.is_corrupt
                    yield packet
                self.damage.missing = max(0, self._announced() - packets)
                return
            except av.ExitError as e:
                raise MediaError(f"no picture for {self._container.read_timeout:g} s") from e
            except av.FFmpegError as e:
                failed += 1
                self.damage.unreadable = e.strerror or str(e)

    def _announced(self) -> int:
        """Return how many packets the file says that it has; 0 if it does not say it exactly."""
        kind = self._container.format.name
        if "mov" in kind:
            return len(self._stream.index_entries)
        return self._stream.frames if kind == "avi" else 0

    def _decode(self, packet: Packet[VideoStream] | None) -> Iterator[Picture]:
        import av

        if packet is not None and packet.has_sidedata("prft"):
            self._clocks[packet.pts] = _wall_clock(bytes(packet.get_sidedata("prft")))
        if not self._keyed and packet is not None:
            self._keyed = packet.is_keyframe
            self.damage.leading += not self._keyed
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.FFmpegError:
            self.damage.lost += self._keyed
            return
        for frame in frames:
            if not self._keyed:  # it needs no key frames
                self._keyed, self.damage.leading = True, 0
            self.damage.concealed += frame.is_corrupt
            yield Picture(frame, self._tick, self._clocks.pop(frame.pts, None), self._crop)
        if len(self._clocks) > MAX_CLOCKS:  # those of packets that gave no picture
            self._clocks.clear()


def _wall_clock(data: bytes) -> float:
    """Read the producer's reference time: microseconds since 1970, and flags."""
    return struct.unpack_from("=q", data)[0] / 1_000_000  # type: ignore[no-any-return]
