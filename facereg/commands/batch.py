"""``facereg batch``: ``facereg run`` over many inputs, several at a time.

Every input is a process of its own, so that a bad one takes nothing else down. A journal in the
output folder notes what was begun and what was finished, from which source and with which options:
the same command passes over what is finished, and begins again what is not.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import output as target
from .._version import __version__
from ..errors import UsageError
from ..output import stamp
from ..registry.registry import Registry, split_spec
from ..sources.images import IMAGE_SUFFIXES
from ..workers import cores
from . import options
from .jobs import Job, Journal, Pool

#: Name of the journal, in the output folder.
JOURNAL = ".facereg-batch.jsonl"

#: Inputs at a time on however many cores, unless told otherwise; each takes some 350 MB.
MOST_JOBS = 8


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    folder = Path(args.output)
    jobs = plan(args, folder)
    at_once = _at_once(args.jobs, len(jobs))
    threads = cores() // at_once or 1 if at_once > 1 else 0
    segmenter = _check(args, threads)
    target.check_parent(folder)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    pool = Pool(jobs, at_once, threads, args.debug)
    with contextlib.closing(Journal(folder / JOURNAL)) as journal:
        for job in jobs:
            _look_at(job, journal.last(job.name), args)
        pool.run(
            lambda job: command(job, segmenter, args),
            lambda job, state: journal.write(entry(job, state, args)),
            show=not args.quiet and sys.stderr.isatty(),
        )
    totals = _totals(jobs, pool.seconds)
    if args.json:
        print(json.dumps(totals))
    if totals["failed"] or not args.quiet:
        print(_summary(jobs, totals), file=sys.stderr)
    return 130 if pool.interrupted else int(bool(totals["failed"]))


def plan(args: argparse.Namespace, folder: Path) -> list[Job]:
    """Make a job of every input, each file once.

    Raises:
        UsageError: two of them would write the same file, or one of them would be written over.
    """
    sources = {path.resolve(): path for text in args.source for path in _paths(text)}
    jobs = [_job(path, folder, args) for path in sources.values()]
    taken: dict[str, Path] = {}
    for job in jobs:
        for path in job.outputs.values():
            if path.resolve() in sources:
                raise UsageError(f"{path} is an input; choose another folder than {folder}")
            other = taken.setdefault(str(path).casefold(), job.source)
            if other != job.source:
                raise UsageError(
                    f"{other} and {job.source} would both be written to {path}; rename one, or "
                    "run them into different folders"
                )
    return jobs


def _paths(text: str) -> list[Path]:
    """Take a path as it is, and a glob that the shell has left as what it matches."""
    path = Path(text)
    return [path] if path.exists() else [Path(p) for p in sorted(glob.glob(text))] or [path]  # noqa: PTH207


def _job(source: Path, folder: Path, args: argparse.Namespace) -> Job:
    name = source.resolve().name if source.is_dir() else source.stem
    pictures = source.is_dir() or source.suffix.lower() in IMAGE_SUFFIXES
    outputs = {"-o": folder / (name if pictures else f"{name}.mp4")}
    if args.masks:
        outputs["-m"] = folder / f"{name}.masks"
    if args.stats:
        outputs["--stats"] = folder / f"{name}.csv"
    return Job(name, source, pictures, outputs, stamp(source))


def _check(args: argparse.Namespace, threads: int) -> str:
    """Build everything once, so that what is wrong is told once, before anything is begun.

    Returns:
        The segmenter, told to use so many threads if it can be.
    """
    registry = Registry(args.plugin)
    registry.view(args.view)
    spec: str = args.segmenter
    name, _, given = split_spec(spec)
    if threads and "threads" in registry.find("segmenter", name).options().keys() - given.keys():
        spec += f"{',' if ':' in spec else ':'}threads={threads}"
    registry.build("segmenter", spec).close()
    registry.build("detector", args.detector).close()
    return spec


def _look_at(job: Job, last: dict[str, Any], args: argparse.Namespace) -> None:
    """Decide whether a job must run, and whether it may.

    Args:
        job: waiting.
        last: the journal's last line of it. What stands under the name of a job that was begun and
            not finished is that job's, and may be replaced.
        args: the command line.
    """
    there = [path for path in job.outputs.values() if path.exists()]
    if job.stamp is None:
        job.fail("no such file or folder")
    elif there and last == entry(job, "done", args):
        job.state = "skipped"
    elif there and not args.overwrite and last.get("state") != "started":
        what = "from another source or with other options" if last else "not by facereg batch"
        job.fail(f"{there[0]} is there, made {what}; --overwrite replaces it")
    else:
        job.replaces = bool(there)


def entry(job: Job, state: str, args: argparse.Namespace) -> dict[str, Any]:
    """Describe a job for the journal. One that was done, and is described so again, is complete."""
    return {
        "name": job.name,
        "state": state,
        "source": job.source.name,
        "stamp": job.stamp,
        "version": __version__,
        "options": options.shared_values(args),
        # Without their times, so that a copy of the folder is as good.
        "outputs": {path.name: (stamp(path) or [])[:2] for path in job.outputs.values()},
    }


def command(job: Job, segmenter: str, args: argparse.Namespace) -> list[str]:
    """Write the command line of a job."""
    # Absolute, so that no name is taken for a flag.
    line = [sys.executable, "-m", "facereg", "run", str(job.source.absolute()), "--quiet", "--json"]
    for flag, path in job.outputs.items():
        line += [flag, f"{path}{os.sep if flag == '-o' and job.pictures else ''}"]
    switches = {"--overwrite": job.replaces, "--debug": args.debug}
    line += [flag for flag, on in switches.items() if on]
    video = {"codec": None, "crf": None} if job.pictures else {}
    return line + options.shared_arguments(args, segmenter=segmenter, **video)


def _totals(jobs: Sequence[Job], seconds: float) -> dict[str, Any]:
    states = Counter(job.state for job in jobs)
    return {
        **{s: states[s] for s in ("done", "skipped", "failed", "interrupted", "waiting")},
        "frames": sum(int((job.totals or {}).get("frames", 0)) for job in jobs),
        "seconds": round(seconds, 3),
        "inputs": [job.as_json() for job in jobs],
    }


def _summary(jobs: Sequence[Job], totals: dict[str, Any]) -> str:
    counts = [f"{totals[s]} {s}" for s in ("done", "skipped", "failed") if totals[s]]
    lines = [f"{', '.join(counts) or 'none done'} of {len(jobs)} in {totals['seconds']:.1f} s"]
    lines += [f"  failed: {job.source}: {job.error}" for job in jobs if job.state == "failed"]
    if left := totals["interrupted"] + totals["waiting"]:
        lines.append(f"  {left} left to do: the same command goes on from here")
    return "\n".join(lines)


def _at_once(wanted: int | None, inputs: int) -> int:
    """Say how many inputs to work on at a time."""
    return min(wanted or min(cores(), MOST_JOBS), inputs)
