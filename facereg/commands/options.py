"""The options of a run, described once; standard library only.

`RUN_OPTIONS` is the one description. Derived from it are the flags of ``run``, those that ``batch``
and ``serve`` share with it, the pipeline's `Settings`, the command lines of batch's children, what
batch's journal notes of them, and the key by which a run may resume an earlier one's masks. To add
an option, add its line here and read it where it is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from . import values


@dataclass(frozen=True)
class Option:
    """One option of a run.

    Attributes:
        flags: as they are typed, the short one first.
        reads: what it belongs to. A ``setting`` is a field of the pipeline's `Settings`; the
            ``source``, the ``segmenter``, the ``components`` or the ``outputs`` are built with it.
        batch: whether ``batch`` takes it, too. ``shared``: in the same words, handed on to every
            run; ``own``: batch has its own words for it; ``no``: it makes no sense there.
        changes_faces: whether the faces of a frame depend on it. A run resumes another one's masks
            only if both had the same values.
        keywords: argparse's, for ``add_argument``.
        serve: whether the cameras of ``serve`` have it, too.
    """

    flags: tuple[str, ...]
    reads: Literal["setting", "source", "segmenter", "components", "outputs"]
    batch: Literal["shared", "own", "no"]
    changes_faces: bool
    keywords: Mapping[str, Any] = field(repr=False)
    serve: bool = True

    @property
    def name(self) -> str:
        """The attribute of a parsed command line."""
        return self.flags[-1].removeprefix("--").replace("-", "_")

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Add the flags to a parser or a group of one."""
        parser.add_argument(*self.flags, **self.keywords)

    def arguments(self, value: object) -> list[str]:
        """Write a value as it is typed.

        >>> Option(("--start",), "source", "shared", True, {}).arguments(1.5)
        ['--start=1.5']
        """
        flag, action = self.flags[-1], self.keywords.get("action")
        if action == "append":
            return [f"{flag}={item}" for item in value] if isinstance(value, list) else []
        if value is None or (value is False and action == "store_true"):
            return []
        if isinstance(value, bool):
            return [flag if value else f"--no-{flag.removeprefix('--')}"]
        return [f"{flag}={value}"]


PLUGIN = Option(
    ("--plugin",),
    reads="components",
    batch="shared",
    changes_faces=False,  # the stamps of the files do
    keywords={
        "action": "append",
        "default": [],
        "metavar": "FILE",
        "help": "a Python file with components of your own; may be repeated",
    },
)

DETECTOR = Option(
    ("-d", "--detector"),
    reads="components",
    batch="shared",
    changes_faces=False,  # the dump's manifest names it
    keywords={
        "default": "mtcnn",
        "metavar": "DETECTOR",
        "help": "what finds the faces (default: %(default)s)",
    },
)

SEGMENTER = Option(
    ("-s", "--segmenter"),
    reads="components",
    batch="shared",
    changes_faces=False,  # likewise
    keywords={
        "default": "pspnet",
        "metavar": "SEGMENTER",
        "help": "what parses them into regions (default: %(default)s)",
    },
)

COMPONENTS = (DETECTOR, SEGMENTER)

OUTPUTS = (
    Option(
        ("-o", "--output"),
        reads="outputs",
        batch="own",
        changes_faces=False,
        keywords={
            "metavar": "OUT",
            "help": "write a video (.mp4, .mov, .mkv, .webm); into a folder, a picture a frame; of "
            "a picture, a picture, such as OUT.png",
        },
    ),
    Option(
        ("-w", "--window"),
        reads="outputs",
        batch="no",
        changes_faces=False,
        serve=False,
        keywords={
            "action": "store_true",
            "help": "show the view in a window; its key h lists the others",
        },
    ),
    Option(
        ("-i", "--isolated"),
        reads="outputs",
        batch="no",
        changes_faces=False,
        serve=False,
        keywords={
            "type": values.names,
            "metavar": "REGION[,REGION…]",
            "help": "show only these regions in a window, the rest black",
        },
    ),
    Option(
        ("-m", "--masks"),
        reads="outputs",
        batch="own",
        changes_faces=False,
        keywords={"metavar": "MASKDIR", "help": "write every frame's label map"},
    ),
    Option(
        ("--masks-format",),
        reads="outputs",
        batch="shared",
        changes_faces=False,
        keywords={
            "choices": ("png", "npz", "ffv1"),
            "default": "png",
            "help": "how label maps are stored (default: %(default)s)",
        },
    ),
    Option(
        ("--stats",),
        reads="outputs",
        batch="own",
        changes_faces=False,
        keywords={
            "metavar": "FILE",
            "help": "write a row a face a frame; the name ends in .csv, .jsonl or .parquet",
        },
    ),
    Option(
        ("--sink",),
        reads="outputs",
        batch="no",
        changes_faces=False,
        keywords={
            "action": "append",
            "default": [],
            "metavar": "SPEC",
            "help": "any other output, as NAME:option=value,…; may be repeated",
        },
    ),
    Option(
        ("--segment",),
        reads="outputs",
        batch="no",
        changes_faces=False,
        keywords={
            "type": values.period,
            "metavar": "T",
            "help": "begin new files every T, such as 10m or 1h, named by their time in UTC",
        },
    ),
    Option(
        ("--retain",),
        reads="outputs",
        batch="no",
        changes_faces=False,
        keywords={
            "type": values.retention,
            "metavar": "T|SIZE",
            "help": "with --segment: remove segments that are older than T, such as 7d, or the "
            "oldest ones if all together are larger than SIZE, such as 50G",
        },
    ),
    Option(
        ("--people",),
        reads="outputs",
        batch="no",
        changes_faces=False,
        keywords={
            "metavar": "DIR",
            "help": "write a picture of each person, named by id and time, to choose from",
        },
    ),
    Option(
        ("--view",),
        reads="outputs",
        batch="shared",
        changes_faces=False,
        keywords={
            "default": "overlay",
            "metavar": "VIEW",
            "help": "what pictures show: overlay, gallery, face, raw, or NAME:REGION[+REGION] with "
            "the NAME isolated, blur, pixelate, fill, recolor or matte; 'facereg plugins' "
            "describes them and their options, which follow after commas (default: %(default)s)",
        },
    ),
    Option(
        ("--codec",),
        reads="outputs",
        batch="shared",
        changes_faces=False,
        keywords={
            "metavar": "CODEC",
            "help": "the video's codec: h264, hevc, av1, vp9, prores, prores4444, ffv1, or one of "
            "ffmpeg's encoders by name (default: h264)",
        },
    ),
    Option(
        ("--crf",),
        reads="outputs",
        batch="shared",
        changes_faces=False,
        keywords={
            "type": values.whole_int,
            "metavar": "N",
            "help": "the video's quality, from 0, the best, to 51 (default: 18)",
        },
    ),
    Option(
        ("--overwrite",),
        reads="outputs",
        batch="own",
        changes_faces=False,
        keywords={"action": "store_true", "help": "replace existing outputs"},
    ),
    Option(
        ("--resume",),
        reads="outputs",
        batch="no",
        changes_faces=False,
        serve=False,
        keywords={"action": "store_true", "help": "continue an unfinished MASKDIR"},
    ),
)

PROCESSING = (
    Option(
        ("--max-faces",),
        reads="setting",
        batch="shared",
        changes_faces=True,
        keywords={
            "type": values.positive_int,
            "metavar": "N",
            "help": "keep the N largest faces (default: all)",
        },
    ),
    Option(
        ("--detect-every",),
        reads="setting",
        batch="shared",
        changes_faces=True,
        keywords={
            "type": values.positive_int,
            "default": 8,
            "metavar": "N",
            "help": "look for faces in every Nth frame (default: %(default)s)",
        },
    ),
    Option(
        ("--parse-every",),
        reads="setting",
        batch="shared",
        changes_faces=True,
        keywords={
            "type": values.count_or_auto,
            "metavar": "N|auto",
            "help": "parse faces on every Nth frame, and carry masks along the motion in between; "
            "auto: of a live source, as often as this machine can (default: auto)",
        },
    ),
    Option(
        ("--look-back",),
        reads="setting",
        batch="shared",
        changes_faces=True,
        keywords={
            "type": values.whole_int,
            "metavar": "N",
            "help": "when a new face is found, look for it in up to N frames before that, which "
            "delays results by as many (default: all since the last look; of live sources none)",
        },
    ),
    Option(
        ("--hold",),
        reads="outputs",
        batch="shared",
        changes_faces=False,  # held faces are in no mask
        keywords={
            "type": values.seconds,
            "metavar": "T",
            "help": "go on hiding a face for T after it was last seen (default: 0.3 s if the view "
            "is blur, pixelate or fill)",
        },
    ),
    Option(
        ("--guard",),
        reads="outputs",
        batch="shared",
        changes_faces=False,  # likewise
        keywords={
            "metavar": "DETECTOR",
            "help": "what searches besides for faces that are only to be hidden, or none (default: "
            "an eager mtcnn if the view is blur, pixelate or fill)",
        },
    ),
    Option(
        ("--start",),
        reads="source",
        batch="shared",
        changes_faces=True,
        keywords={
            "type": values.seconds,
            "metavar": "T",
            "help": "begin at T: seconds, or [HH:]MM:SS",
        },
    ),
    Option(
        ("--duration",),
        reads="setting",
        batch="shared",
        changes_faces=False,  # it only ends the run
        keywords={
            "type": values.positive_seconds,
            "metavar": "T",
            "help": "stop after T",
        },
    ),
    Option(
        ("--smooth",),
        reads="segmenter",
        batch="shared",
        changes_faces=True,
        keywords={
            "action": argparse.BooleanOptionalAction,
            "default": None,
            "help": "steady the regions over time (default: for video, not for images)",
        },
    ),
    Option(
        ("--on-error",),
        reads="setting",
        batch="shared",
        changes_faces=True,
        keywords={
            "choices": ("stop", "skip"),
            "default": "stop",
            "help": "what to do if a detector or segmenter fails on a frame (default: %(default)s)",
        },
    ),
    Option(
        ("--on-sink-error",),
        reads="setting",
        batch="shared",
        changes_faces=False,
        keywords={
            "choices": ("stop", "drop"),
            "default": "stop",
            "help": "what to do if an output fails: drop goes on with the others "
            "(default: %(default)s)",
        },
    ),
)

#: The options of a run by the title that ``--help`` gives them. What every command has, such as
#: ``--quiet``, is in cli.py.
OPTION_GROUPS = {
    "components": (*COMPONENTS, PLUGIN),
    "outputs": OUTPUTS,
    "processing": PROCESSING,
}

RUN_OPTIONS = tuple(option for group in OPTION_GROUPS.values() for option in group)


def shared(options: Iterable[Option] = RUN_OPTIONS) -> list[Option]:
    """List the options that ``batch`` hands on to each run."""
    return [option for option in options if option.batch == "shared"]


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Collect the fields of the pipeline's `Settings` from a parsed command line."""
    return _values(args, (o for o in RUN_OPTIONS if o.reads == "setting"))


def resume_key(args: argparse.Namespace) -> dict[str, Any]:
    """Collect what two runs must have in common for one to resume the other's masks."""
    return _values(args, (o for o in RUN_OPTIONS if o.changes_faces))


def shared_values(args: argparse.Namespace) -> dict[str, Any]:
    """Collect what ``batch`` hands on to each run, for its journal."""
    return _values(args, shared())


def shared_arguments(args: argparse.Namespace, **instead: object) -> list[str]:
    """Write the command line that hands batch's options on to a run.

    Args:
        args: batch's parsed command line.
        **instead: values that replace those of ``args``.
    """
    chosen = {**shared_values(args), **instead}
    return [text for o in shared() for text in o.arguments(chosen[o.name])]


def _values(args: argparse.Namespace, options: Iterable[Option]) -> dict[str, Any]:
    return {option.name: getattr(args, option.name) for option in options}
