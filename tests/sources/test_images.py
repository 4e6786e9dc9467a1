from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from facereg.errors import SourceError, UsageError
from facereg.sources.images import ImagesSource
from facereg.sources.pictures import HEIF_CURE
from facereg.types import Frame
from tests import clips

#: A small picture whose four quarters differ, so that any turn, flip or swap of colours shows.
PICTURE = np.zeros((40, 60, 3), np.uint8)
PICTURE[:20, :30] = 255, 0, 0
PICTURE[:20, 30:] = 0, 255, 0
PICTURE[20:, :30] = 0, 0, 255
PICTURE[20:, 30:] = 200, 200, 200


def read(spec: Path | str, **options: float) -> list[Frame]:
    source = ImagesSource(str(spec), **options)
    frames = list(source.frames())
    source.close()
    return frames


def write(path: Path, image: np.ndarray = PICTURE) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


# What comes out


def test_a_photograph_comes_as_it_is(tmp_path: Path) -> None:
    source = ImagesSource(str(write(tmp_path / "her.png", clips.astronaut())))
    (frame,) = source.frames()
    assert np.array_equal(frame.image, clips.astronaut())
    assert not frame.image.flags.writeable
    assert (frame.index, frame.time, frame.name) == (0, 0.0, "her.png")
    info = source.info
    assert (info.name, info.width, info.height, info.frame_count) == ("her.png", 512, 512, 1)
    assert not info.live and not info.has_audio and info.sizes_vary is None


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["bmp", "jpg", "png", "ppm", "tif", "webp"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    (frame,) = read(write(tmp_path / f"her.{suffix}", clips.astronaut()))
    assert np.abs(frame.image.astype(int) - clips.astronaut()).mean() < 4


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("kind", ["grey", "grey 16", "colour 16"])
def test_grey_and_16_bit_become_8_bit_colour(tmp_path: Path, suffix: str, kind: str) -> None:
    image = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY) if "grey" in kind else PICTURE
    stored = image.astype(np.uint16) * 257 if "16" in kind else image
    (frame,) = read(write(tmp_path / f"a.{suffix}", stored))
    wanted = np.repeat(image[..., None], 3, -1) if "grey" in kind else image
    assert frame.image.dtype == np.uint8
    assert np.array_equal(frame.image, wanted)


@pytest.mark.parametrize("bits", [np.uint8, np.uint16])
def test_transparent_becomes_black(tmp_path: Path, bits: type) -> None:
    top = np.iinfo(bits).max
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, :30] = 255
    alpha[:20, :30] = 128
    stored = np.dstack([PICTURE, alpha]).astype(bits) * (top // 255)
    (frame,) = read(write(tmp_path / "cut_out.png", stored))
    assert frame.image.shape == (40, 60, 3)
    assert not frame.image[:, 30:].any()  # not the green and grey that hide there
    assert frame.image[30, 10].tolist() == [0, 0, 255]
    assert frame.image[10, 10].tolist() == pytest.approx([128, 0, 0], abs=1)


def test_palette_bits_and_cmyk(tmp_path: Path) -> None:
    rgb = PIL.Image.fromarray(np.ascontiguousarray(PICTURE[..., ::-1]))
    for name, mode in (("p.png", "P"), ("cmyk.jpg", "CMYK"), ("bits.png", "1"), ("la.png", "LA")):
        rgb.convert(mode).save(tmp_path / name)
    for frame in read(tmp_path):
        assert frame.image.shape == (40, 60, 3), frame.name
        if frame.name in ("p.png", "cmyk.jpg"):
            assert np.abs(frame.image.astype(int) - PICTURE).mean() < 16, frame.name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    # What the camera stores, so that a viewer that follows the tag shows PICTURE.
    turns = [
        lambda a: a,
        lambda a: a[:, ::-1],
        lambda a: a[::-1, ::-1],
        lambda a: a[::-1],
        lambda a: a.transpose(1, 0, 2),
        lambda a: np.rot90(a, 1),
        lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        lambda a: np.rot90(a, -1),
    ]
    stored = np.ascontiguousarray(turns[orientation - 1](PICTURE)[..., ::-1])
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{suffix}"
    PIL.Image.fromarray(stored).save(path, exif=exif, quality=95)
    source = ImagesSource(str(path))
    assert (source.info.width, source.info.height) == (60, 40)
    (frame,) = source.frames()
    assert frame.image.shape == PICTURE.shape
    assert np.abs(frame.image.astype(int) - PICTURE).mean() < 20


# More than one picture in a file


def animate(path: Path, durations: list[int]) -> Path:
    """Write frames that are numbered by their brightness."""
    frames = [PIL.Image.new("RGB", (32, 24), (20 * i, 20 * i, 20 * i)) for i in range(10)]
    options = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, **options)
    return path


@pytest.mark.parametrize("suffix", ["webp", "png"])
def test_an_animation_is_a_video_with_its_own_times(tmp_path: Path, suffix: str) -> None:
    path = animate(tmp_path / f"a.{suffix}", [100] * 5 + [400] * 5)
    source = ImagesSource(str(path))
    assert (source.info.frame_count, source.info.fps, source.info.stills) == (10, 10, False)
    frames = list(source.frames())
    assert [frame.image[0, 0, 0] for frame in frames] == [20 * i for i in range(10)]
    assert [frame.time for frame in frames] == pytest.approx(
        [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 1.3, 1.7, 2.1]
    )
    assert [frame.time for frame in read(path, start=0.95)] == pytest.approx([1.3, 1.7, 2.1])
    with pytest.raises(SourceError, match=r"its last frame is at 2\.100 s"):
        read(path, start=3)


def test_pages_of_a_tiff_are_pictures(tmp_path: Path) -> None:
    pages = [PIL.Image.new("RGB", (32, 24 + i), (20 * i,) * 3) for i in range(12)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    write(tmp_path / "zebra.png")
    source = ImagesSource(str(tmp_path))
    assert (source.info.frame_count, source.info.stills) == (13, True)
    frames = list(source.frames())
    assert [frame.name for frame in frames][::6] == ["scan-01.tif", "scan-07.tif", "zebra.png"]
    assert [frame.height for frame in frames[:12]] == list(range(24, 36))
    assert read(tmp_path, start=11 / 25)[0].name == "scan-12.tif"


def test_an_animation_among_pictures_gives_a_picture_a_frame(tmp_path: Path) -> None:
    animate(tmp_path / "a.webp", [100] * 10)
    write(tmp_path / "b.png")
    frames = read(tmp_path)
    assert [frame.name for frame in frames][8:] == ["a-09.webp", "a-10.webp", "b.png"]


# Other ranges of values


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (np.linspace(0, 1, 256, dtype=np.float32), range(256)),
        (np.linspace(0, 255, 256, dtype=np.float32), range(256)),
        (np.linspace(0, 4095, 256).astype(np.uint16), range(256)),
        (np.linspace(0, 65535, 256).astype(np.uint16), range(256)),
        (np.linspace(0, 65535, 256).astype(np.int32), range(256)),
        (np.array([np.nan, -1, np.inf, 0.5], np.float32), [0, 0, 0, 128]),
    ],
    ids=["0 to 1", "0 to 255", "12 bits", "16 bits", "32 bits", "not numbers"],
)
def test_a_grey_tiff_is_never_black(tmp_path: Path, stored: np.ndarray, wanted: list[int]) -> None:
    path = tmp_path / "a.tif"
    PIL.Image.fromarray(np.repeat(stored[None], 4, 0)).save(path)
    (frame,) = read(path)
    got = frame.image[0].astype(int)
    assert np.abs(got - np.array(wanted)[:, None]).max() <= 1


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_a_tiff_of_deep_colours(tmp_path: Path, kind: type) -> None:
    white = 1 if kind is np.float32 else 65535
    (frame,) = read(write(tmp_path / "a.tif", (PICTURE / 255 * white).astype(kind)))
    assert np.abs(frame.image.astype(int) - PICTURE).max() <= 1


# Large ones


def test_a_large_photograph_is_read_without_a_word(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    limit = PIL.Image.MAX_IMAGE_PIXELS
    PIL.Image.new("L", (12_000, 8_000), 9).save(tmp_path / "panorama.jpg", quality=30)
    info = ImagesSource(str(tmp_path / "panorama.jpg")).info
    assert (info.width, info.height, len(recwarn)) == (12_000, 8_000, 0)
    assert limit == PIL.Image.MAX_IMAGE_PIXELS, "Pillow's own setting is left as it was"


def one_bit_png(width: int, height: int) -> bytes:
    """Write the header of a black and white picture, and a line of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    line = zlib.compress(bytes(1 + (width + 7) // 8))
    parts = chunk(b"IHDR", head), chunk(b"IDAT", line), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ((13_300, 13_300), "is 13300x13300 pixels in .* kB: it would fill"),
        ((20_000, 18_000), "350"),
    ],
)
def test_a_picture_that_would_fill_the_memory_is_refused(
    tmp_path: Path, size: tuple[int, int], says: str
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(one_bit_png(*size))
    with pytest.raises(SourceError, match=rf"bomb\.png: .*{says}"):
        ImagesSource(str(path))


# Which, and in which order


def test_folder_in_natural_order_without_other_files(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.png", "IMG1.PNG", "img02.png", ".hidden.png"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.png").mkdir()
    frames = read(tmp_path)
    assert [frame.name for frame in frames] == ["IMG1.PNG", "img02.png", "img2.png", "img10.png"]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]


def test_files_that_are_not_read_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facereg.sources.images.can_read_heif", lambda: False)
    write(tmp_path / "IMG_1.png")
    (tmp_path / "IMG_2.HEIC").write_bytes(b"ftypheic")
    (tmp_path / "IMG_3.gif").write_bytes(b"GIF89a")
    assert len(read(tmp_path)) == 1
    assert caplog.messages == [
        f"{tmp_path}: 2 files of other kinds are not read: IMG_2.HEIC, IMG_3.gif; {HEIF_CURE}"
    ]


def test_a_heic_picture_says_what_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(SourceError, match=r"a\.heic: .*pip install pillow-heif"):
        ImagesSource(str(tmp_path / "a.heic"))


def test_glob_reaches_into_folders(tmp_path: Path) -> None:
    for place in ("a10/1.png", "a2/2.png", "a2/skip.jpg"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        write(tmp_path / place)
    assert [frame.name for frame in read(tmp_path / "*" / "*.png")] == ["2.png", "1.png"]
    assert len(read(tmp_path / "**" / "*")) == 3


def test_file_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    path = write(tmp_path / "shot [1].png")
    assert ImagesSource.matches(str(path))
    assert len(read(path)) == 1


def test_odd_size_is_named(tmp_path: Path) -> None:
    for name, rows in (("a1.png", 40), ("a2.png", 40), ("a10.png", 30), ("a11.png", 20)):
        write(tmp_path / name, PICTURE[:rows])
    source = ImagesSource(str(tmp_path))
    assert source.info.sizes_vary == ("a10.png", 60, 30)
    assert (source.info.width, source.info.height) == (60, 40)
    assert [frame.height for frame in source.frames()] == [40, 40, 30, 20]


def test_times_follow_the_rate(tmp_path: Path) -> None:
    for i in range(5):
        write(tmp_path / f"{i}.png")
    source = ImagesSource(str(tmp_path), fps=12.5)
    assert source.info.fps == Fraction(25, 2)
    assert source.info.duration == 0.4
    assert not source.info.stills  # a rate says that they are a video's frames
    assert [frame.time for frame in source.frames()] == [0.0, 0.08, 0.16, 0.24, 0.32]
    separate = ImagesSource(str(tmp_path)).info
    assert separate.stills
    assert (separate.fps, separate.frame_count) == (25, 5)


@pytest.mark.parametrize(("start", "first"), [(0, 0), (0.08, 1), (0.09, 2), (0.32, 4)])
def test_start_keeps_index_and_time(tmp_path: Path, start: float, first: int) -> None:
    for i in range(5):
        write(tmp_path / f"{i}.png")
    frame = read(tmp_path, fps=12.5, start=start)[0]
    assert (frame.index, frame.time, frame.name) == (first, first * 0.08, f"{first}.png")


def test_start_after_the_end_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"starts at 3 s, but its last picture is at 0\.000 s"):
        read(tmp_path, start=3)


def test_matches(tmp_path: Path, face_clip: Path) -> None:
    assert ImagesSource.matches(str(tmp_path))
    assert ImagesSource.matches(str(write(tmp_path / "a.JPG")))
    assert ImagesSource.matches("missing.png")  # so that the error is "no such file"
    assert ImagesSource.matches("missing/*.png")
    assert not ImagesSource.matches("missing")
    assert not ImagesSource.matches(str(face_clip))
    assert not ImagesSource.matches("http://host/what?.jpg")
    assert not ImagesSource.matches("0")


# Bad input


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Path.is_file, "no such file"),
        (Path.touch, "is empty"),
        (lambda path: path.write_text("Dear diary"), "is not a picture that can be read"),
    ],
    ids=["missing", "empty", "text"],
)
def test_what_is_no_picture_is_named_before_anything_starts(
    tmp_path: Path, make: object, says: str
) -> None:
    path = tmp_path / "bad.png"
    make(path)  # type: ignore[operator]
    with pytest.raises(SourceError, match=f"^{path}: {says}$"):
        ImagesSource(str(path))


def test_one_bad_picture_in_a_folder_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("Dear diary")
    with pytest.raises(SourceError, match=r"b\.png: is not a picture that can be read"):
        ImagesSource(str(tmp_path))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_cut_off_picture_is_not_half_grey(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a.{suffix}", clips.astronaut())
    bad = write(tmp_path / f"b.{suffix}", clips.astronaut())
    bad.write_bytes(bad.read_bytes()[:20_000])
    frames = ImagesSource(str(tmp_path)).frames()
    assert next(frames).name == f"a.{suffix}"
    with pytest.raises(SourceError, match=rf"b\.{suffix}: cannot be read as a picture: .*trunc"):
        next(frames)


def test_damaged_pictures_can_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "abcd":
        write(tmp_path / f"{name}.png", clips.astronaut())
    (tmp_path / "a.png").write_text("Dear diary")
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes()[:20_000])
    with pytest.raises(SourceError, match=rf"a\.png: .*; images:{tmp_path},damaged=skip goes on"):
        ImagesSource(str(tmp_path))
    source = ImagesSource(str(tmp_path), damaged="skip")
    assert source.info.frame_count == 3, "the third turns out to be damaged when it is read"
    assert [(f.index, f.name) for f in source.frames()] == [(0, "b.png"), (2, "d.png")]
    assert [m.partition(":")[0][-5:] for m in caplog.messages] == ["a.png", "c.png"]
    for name in "bd":
        (tmp_path / f"{name}.png").unlink()
    with pytest.raises(SourceError, match=r"a\.png: is not a picture that can be read$"):
        ImagesSource(str(tmp_path / "a.png"))


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    with pytest.raises(SourceError, match=r"no picture in this folder .*: facereg batch"):
        ImagesSource(str(tmp_path))
    with pytest.raises(SourceError, match=r"\*\.png: no picture matches"):
        ImagesSource(str(tmp_path / "*.png"))


@pytest.mark.parametrize("options", [{"fps": 0}, {"fps": -3}, {"start": -1}])
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(options))}=.*: must"):
        ImagesSource(str(tmp_path), **options)
