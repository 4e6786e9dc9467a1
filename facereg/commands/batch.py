"""``facereg batch``: ``facereg run`` over many inputs, several at a time.

Every input is a process of its own, so that a bad one takes nothing else down. A journal in the
output folder notes what was begun and what was finished, from which source and with which options:
the same command does what is missing or has changed. A table sums up what came of each recording.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..batch.cluster import Cluster, Resources, connected
from ..batch.journal import Journal
from ..batch.plan import Job, OutputKind, Shard, make_plan, take_shard
from ..batch.pool import Pool
from ..batch.scratch import Scratch
from ..batch.store import Transfers, describe, is_remote, open_path
from ..batch.summary import merge, summarize, write_summary
from ..errors import UsageError, clean_text
from ..output import check_parent
from ..registry.registry import Registry, split_spec
from ..workers import cores
from . import options
from .child import TRANSFERS
from .opencv import installed_opencvs, opencv_clash
from .progress import Progress
from .python_process import python_command
from .run import refuse_stdout
from .terminal import print_json, signals_handled_by

log = logging.getLogger(__name__)

#: Inputs at a time on however many cores, unless --jobs says otherwise; each takes some 350 MB.
MAX_DEFAULT_JOBS = 8

#: Environment variables that set how many threads the libraries below us use.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "OPENCV_FFMPEG_THREADS",
)

#: What the process of a job runs.
CHILD_CODE = """
from facereg import cli
from facereg.commands import child
transfers = child.take_transfers(sys.argv)
sys.exit(child.run(cli.parse_args(), transfers))
"""


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    folder, kinds = _outputs(args)
    jobs = make_plan(args.source, folder, kinds)
    scratch = Scratch(folder, args.scratch)
    if args.merge:
        return _merge(scratch, jobs, quiet=args.quiet)
    shard = args.shard and Shard(*args.shard)
    if shard:
        jobs = take_shard(jobs, shard)
    at_once = _at_once(args.jobs, len(jobs))
    threads = _threads(args, at_once)
    segmenter = _check(args, threads)
    _make(folder)
    start = time.monotonic()
    scratch.fetch_journals()
    journal = Journal(scratch.notes, options.shared_values(args), shard, outputs=folder)
    with contextlib.closing(journal), scratch.of_jobs(jobs, shard):
        for job in jobs:
            journal.decide(job, overwrite=args.overwrite, retry_failed=args.retry_failed)
            if job.state == "failed":
                _log_failure(job)
                if not journal.knows(job):
                    journal.write(job, "failed")
        interrupted = _run_jobs(jobs, journal, args, segmenter, at_once, threads)
        if shard is None:  # of shards, --merge makes one
            write_summary(scratch.notes, summarize(jobs))
    totals = _totals(jobs, time.monotonic() - start)
    if args.json:
        print_json(totals)
    if totals["failed"] or not args.quiet:
        print(_summary(jobs, totals), file=sys.stderr)
    return 130 if interrupted else int(bool(totals["failed"]))


def _outputs(args: argparse.Namespace) -> tuple[Path, list[OutputKind]]:
    """Return the output folder, and what is written of each recording.

    Raises:
        UsageError: nothing is, or the folder cannot be meant.
    """
    refuse_stdout(output=args.output)
    wanted: dict[OutputKind, bool] = {
        "-o": args.output is not None and not args.no_video,
        "-m": args.masks,
        "--stats": args.stats,
    }
    kinds = [kind for kind, is_wanted in wanted.items() if is_wanted]
    if not (args.source or args.merge):
        raise UsageError("no INPUT: name files, folders, globs or @list.txt")
    if not (kinds or args.merge):
        raise UsageError("nothing to write: give -o OUTDIR, or -m or --stats for these alone")
    if "-o" not in kinds and (args.codec, args.crf) != (None, None):
        raise UsageError("--codec and --crf are for the videos of -o OUTDIR")
    return open_path("." if args.output is None else args.output), kinds


def _make(folder: Path) -> None:
    """Make the output folder; a store has none."""
    if clash := opencv_clash(installed_opencvs()):
        log.warning(clash)
    if not is_remote(folder):
        check_parent(folder)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()


def _merge(scratch: Scratch, jobs: Sequence[Job], *, quiet: bool) -> int:
    """Write the summary of what all batches and shards did. Returns the exit code."""
    scratch.fetch_journals()
    rows = merge(scratch.notes, jobs)
    path = scratch.publish(write_summary(scratch.notes, rows))
    failed = sum(row.error is not None for row in rows)
    if not quiet:
        counts = f"{len(rows)} recordings, {failed} of them not done"
        print(f"{counts}: {clean_text(describe(path))}", file=sys.stderr)
    return int(failed > 0)


class _Reporter:
    """Writes the journal, logs what fails, and shows how far the batch is."""

    def __init__(self, jobs: Sequence[Job], journal: Journal, *, show: bool) -> None:
        self._jobs, self._journal = jobs, journal
        self._progress = Progress() if show else None

    def started(self, job: Job) -> None:
        for path in job.outputs.values():
            if is_remote(path):
                continue
            with contextlib.suppress(OSError):  # its process says what is wrong
                path.parent.mkdir(parents=True, exist_ok=True)
        self._journal.write(job, "started")

    def ended(self, job: Job) -> None:
        if job.state in ("done", "failed", "interrupted"):
            self._journal.write(job, job.state)
        if job.state == "failed":
            _log_failure(job)

    def tick(self) -> None:
        if self._progress is not None:
            self._progress.update(*self._state())

    def close(self) -> None:
        if self._progress is not None:
            self._progress.end(*self._state())

    def _state(self) -> tuple[int, int | None, str]:
        """Return frames done, frames in all at a guess, and what is being worked on."""
        jobs = [job for job in self._jobs if job.attempts or job.state == "waiting"]
        ended = len(self._jobs) - sum(job.state in ("waiting", "running") for job in self._jobs)
        running = ", ".join(job.source.name for job in self._jobs if job.state == "running")
        doing = f"{ended}/{len(self._jobs)} files  {running}"
        return sum(job.frames for job in jobs), expected_total(jobs), doing


def expected_total(jobs: Sequence[Job]) -> int | None:
    """Guess how many frames some jobs have; None before the first has said so.

    A job that has not said so has as many for its bytes as the others, if it is a video.
    """
    known = [job for job in jobs if job.total is not None]
    size = sum(job.size for job in known)
    if not size:
        return None
    frames = sum(job.total or 0 for job in known)
    others = sum(job.size for job in jobs if job.total is None)
    return frames + round(frames * others / size)


def _run_jobs(
    jobs: Sequence[Job],
    journal: Journal,
    args: argparse.Namespace,
    segmenter: str,
    at_once: int,
    threads: int,
) -> bool:
    """Run what waits; return whether a signal came."""
    reporter = _Reporter(jobs, journal, show=not args.quiet)
    limits = dict.fromkeys(THREAD_VARIABLES, str(threads)) if threads else {}

    def arguments(job: Job, outputs: Mapping[OutputKind, Path] | None = None) -> list[str]:
        return run_arguments(job, outputs, segmenter, args)

    with contextlib.ExitStack() as opened:
        runner: Pool | Cluster
        if args.on == "local":
            runner = Pool(
                jobs,
                lambda job: child_command(arguments(job)),
                reporter,
                at_once=at_once,
                environment={**os.environ, **limits},
                retries=args.retries,
                debug=args.debug,
            )
        else:
            address = args.on.removeprefix("ray").removeprefix(":") or None
            resources = Resources(address, args.cpus_per_job, at_once)
            opened.enter_context(connected(resources))
            runner = Cluster(
                jobs,
                arguments,
                child_command,
                reporter,
                resources=resources,
                folder=journal.tries,
                environment=limits,
                retries=args.retries,
            )
        signals = 0

        def interrupt(*_: object) -> None:
            nonlocal signals
            signals += 1
            runner.interrupt(signals)

        opened.enter_context(signals_handled_by(interrupt))
        opened.enter_context(contextlib.closing(reporter))
        runner.run()
    return runner.interrupted


def _check(args: argparse.Namespace, threads: int) -> str:
    """Build everything once, so that what is wrong is said once, before anything is begun.

    Returns:
        The segmenter, with the number of threads that it may use if it has such an option.
    """
    registry = Registry(args.plugin)
    registry.view(args.view)
    spec: str = args.segmenter
    name, _, given = split_spec(spec)
    if threads and "threads" in registry.find("segmenter", name).options().keys() - given.keys():
        spec += f"{',' if ':' in spec else ':'}threads={threads}"
    if args.guard not in (None, "none"):
        registry.build("detector", args.guard).close()
    registry.build("segmenter", spec).close()
    registry.build("detector", args.detector).close()
    return spec


def child_command(arguments: Sequence[str]) -> list[str]:
    """Make the command line of a job's process, on the machine that it is to run on."""
    return python_command(CHILD_CODE, *arguments)


def run_arguments(
    job: Job,
    outputs: Mapping[OutputKind, Path] | None,
    segmenter: str,
    args: argparse.Namespace,
) -> list[str]:
    """Write the command line of ``run`` for a job.

    Args:
        job: which.
        outputs: what is written in a try of its own; None for the outputs of the job, which an
            earlier try may have begun.
        segmenter: how its process parses faces.
        args: batch's parsed command line.
    """
    # Absolute, so that no name is taken for a flag.
    line = ["run", str(job.local_source), "--quiet"]
    stored = any(map(is_remote, job.outputs.values()))
    for flag, path in (job.local_outputs if outputs is None or stored else outputs).items():
        line += [flag, f"{path.absolute()}{os.sep if flag == '-o' and job.pictures else ''}"]
    own = outputs is None and not stored  # it may have been begun under its name
    again = own and job.attempts > 1
    switches = {
        "--overwrite": own and (job.replaces or again),
        "--resume": own and "-m" in job.outputs and (job.resumes or again),
        "--debug": args.debug,
    }
    line += [flag for flag, on in switches.items() if on]
    encodes = "-o" in job.outputs and not job.pictures
    video = {} if encodes else {"codec": None, "crf": None}
    line += options.shared_arguments(args, segmenter=segmenter, **video)
    return line if job.scratch is None else [f"{TRANSFERS}{_transfers(job).as_argument()}", *line]


def _transfers(job: Job) -> Transfers:
    """Say what the process of a job fetches and uploads."""
    made = job.local_outputs
    uploads = {str(made[k]): str(path) for k, path in job.outputs.items() if is_remote(path)}
    fetched = str(job.source) if is_remote(job.source) else ""
    return Transfers(str(job.scratch), fetched, str(job.local_source), uploads)


def _log_failure(job: Job) -> None:
    log.error("%s: %s", describe(job.source), job.error)


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
    lines += [
        f"  failed: {clean_text(f'{describe(job.source)}: {job.error}')}"
        for job in jobs
        if job.state == "failed"
    ]
    if left := totals["interrupted"] + totals["waiting"]:
        lines.append(f"  {left} left to do: the same command goes on from here")
    return "\n".join(lines)


def _threads(args: argparse.Namespace, at_once: int) -> int:
    """Return how many threads a job may use; 0 if it has the whole machine."""
    if args.on != "local":
        return int(args.cpus_per_job)
    return cores() // at_once or 1 if at_once > 1 else 0


def _at_once(wanted: int | None, inputs: int) -> int:
    """Return how many inputs to work on at a time."""
    return max(1, min(wanted or min(cores(), MAX_DEFAULT_JOBS), inputs))
