"""Find out whether a file was cut off or damaged, and say so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

#: Bytes of a packet in an MPEG transport stream: plain, with a time code, with error correction.
TS_PACKET_BYTES = (188, 192, 204)

#: Identifiers of Matroska: the header, the segment that everything else is in, a cluster of blocks.
EBML_HEADER, EBML_SEGMENT, EBML_CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675

#: Those of all elements of a segment and of a cluster.
ELEMENTS = frozenset(
    (
        *(EBML_HEADER, EBML_SEGMENT, EBML_CLUSTER),
        # Seek head, information, tracks, cues, attachments, chapters, tags
        *(0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367),
        # Time, block, group of blocks, encrypted block, size of the last cluster, position, tracks
        *(0xE7, 0xA3, 0xA0, 0xAF, 0xAB, 0xA7, 0x5854),
        *(0xEC, 0xBF),  # room, checksum
    )
)

#: What is wrong with a file's structure.
CUT_OFF, BROKEN = "its end is missing", "a part of it is destroyed"

#: A RIFF size that says nothing, as in a file that was written to a pipe.
RIFF_UNKNOWN = (0, 0xFFFFFFFF)


@dataclass
class Damage:
    """What went wrong while a video was decoded.

    Attributes:
        leading: packets before the first key frame, which cannot be decoded.
        lost: packets after it that could not be decoded.
        corrupt: packets that the container marks as damaged.
        concealed: frames whose damage the decoder conceals.
        missing: packets that the file's index names and that never came.
        unreadable: why reading ended before the end, or None.
    """

    leading: int = 0
    lost: int = 0
    corrupt: int = 0
    concealed: int = 0
    missing: int = 0
    unreadable: str | None = None


def describe_damage(damage: Damage, read: int, expected: int | None, structure: str = "") -> str:
    """Say what is lost of a video, in a few words; nothing if it is whole.

    Args:
        damage: what the decoder met with.
        read: frames that came out.
        expected: frames that the file claims to have, or None. Many files can only guess it, so
            that a smaller number alone proves nothing.
        structure: what is wrong with the file's structure.

    >>> describe_damage(Damage(lost=1), 49, 50)
    '49 of its 50 frames could be read; 1 packet could not be decoded'
    """
    if not structure and damage == Damage():
        return ""
    of = f" of its {expected}" if expected is not None and expected > read else ""
    parts = [f"{read}{of} frames could be read"]
    if damage.concealed:
        parts[0] += f", {damage.concealed} of them with damage that the decoder concealed"
    if damage.leading:
        parts.append(f"{_packets(damage.leading)} before its first key frame cannot be decoded")
    if damage.lost:
        parts.append(f"{_packets(damage.lost)} could not be decoded")
    if damage.corrupt and not damage.concealed:
        parts.append(f"{_packets(damage.corrupt)} arrived damaged")
    if damage.unreadable:
        parts.append(f"the rest is unreadable ({damage.unreadable.lower()})")
    elif structure or damage.missing:
        parts.append(structure or CUT_OFF)
    return "; ".join(parts)


def report_damage(damage: Damage, read: int, text: str) -> dict[str, object]:
    """Report the damage of a video as plain values.

    Args:
        damage: what the decoder met with.
        read: frames that came out.
        text: `describe_damage`.
    """
    return {
        "frames": read,
        "damaged_frames": damage.concealed,
        "undecodable_packets": damage.leading + damage.lost,
        "damage": text,
    }


def _packets(count: int) -> str:
    return f"{count} packet{'' if count == 1 else 's'}"


def is_cut_off(path: Path) -> bool:
    """Say whether the structure of an AVI, Matroska, WebM or MPEG-TS file ends before its end.

    False for every other kind, and if its size is not written in it.
    """
    return find_structural_damage(path, thorough=False) == CUT_OFF


def find_structural_damage(path: Path, *, thorough: bool = True) -> str:
    """Say what is wrong with the structure of an AVI, Matroska, WebM or MPEG-TS file.

    Args:
        path: the file.
        thorough: look at every block of a Matroska file, which takes a second for each hour.

    Returns:
        `CUT_OFF`, `BROKEN`, or nothing for a sound file and for all other kinds.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(TS_PACKET_BYTES[-1] + 1)
        file.seek(0)
        if head[:4] == b"RIFF":
            return CUT_OFF if _riff_is_cut(file, size) else ""
        if head[:4] == EBML_HEADER.to_bytes(4, "big"):
            return _walk_matroska(file, size, thorough=thorough)
    for packet in TS_PACKET_BYTES:
        start = packet - 188 if packet == 192 else 0
        if head[start : start + 1] == b"G" and head[start + packet : start + packet + 1] == b"G":
            return CUT_OFF if size % packet else ""
    return ""


def _riff_is_cut(file: BinaryIO, size: int) -> bool:
    """Walk the RIFF chunks: an AVI of more than a gigabyte has several."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or length in RIFF_UNKNOWN:
            return False
        position += 8 + length + length % 2
    return position - 1 > size  # some writers leave out the last padding byte


def _walk_matroska(file: BinaryIO, size: int, *, thorough: bool) -> str:
    """Walk the elements of the file; those of its clusters too, if ``thorough``."""
    while file.tell() < size:
        element, length = read_number(file, marked=True), read_number(file, marked=False)
        if element is None or (thorough and element not in ELEMENTS):
            return BROKEN if file.tell() < size else CUT_OFF
        if length is not None and file.tell() + length > size:
            return CUT_OFF
        if element in (EBML_SEGMENT, EBML_CLUSTER) and (thorough or length is None):
            continue  # look into it
        if length is None:
            return ""
        file.seek(length, 1)
    return ""


def read_number(file: BinaryIO, *, marked: bool) -> int | None:
    """Read a number of variable length; None at the end, or if all its bits say "unknown".

    Args:
        file: where it stands.
        marked: keep the bit that marks its length, as in an identifier.
    """
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big")
    if marked:
        return value
    value &= (1 << 7 * length) - 1
    return None if value == (1 << 7 * length) - 1 else value
