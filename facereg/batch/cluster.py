"""The jobs of a batch on a cluster: Ray gives each to a node that has room for it.

A job is a process on some node, as in `pool`. It writes into a folder of its own try, and the batch
puts what a finished try made under its name. Thus a job whose node died can be tried elsewhere,
even if the node is alive and goes on: its try is never published.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import FaceregError, SinkError, missing_extra
from ..output import move_into_place
from .plan import Job, OutputKind
from .pool import MAX_SILENT_SECONDS, Child, Observer, Records, end_job, log, take_record
from .store import describe, is_remote

#: Seconds between two looks at the cluster.
POLL_SECONDS = 0.2

#: Seconds that a cluster may take to accept a connection.
CONNECT_SECONDS = 5.0

#: Memory that a job asks for, in bytes; a job of full HD takes some 400 MB.
MEMORY_BYTES = 500 << 20

#: Nodes that may be lost under one job.
MAX_LOST_NODES = 5

#: Jobs that wait in the cluster's queue besides those that run, so that it sees what is to come.
QUEUED_JOBS = 16

#: What Ray is told before it starts: it sends nothing, and writes nothing under the home directory.
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class Resources:
    """What a cluster is, and what a job asks of it.

    Attributes:
        address: ``HOST:PORT`` of a cluster that runs; None to start one on this machine.
        cpus: of a job.
        jobs: at a time, on a cluster that is started here.
    """

    address: str | None
    cpus: int
    jobs: int


@contextlib.contextmanager
def connected(resources: Resources) -> Iterator[None]:
    """Connect to a cluster, or start one; leave it, or end it, afterwards.

    Raises:
        FaceregError: Ray is not installed, the cluster cannot be reached, or no node is large
            enough.
    """
    os.environ.update(RAY_ENVIRONMENT)
    ray = _import_ray()
    with contextlib.ExitStack() as left:
        known: dict[str, Any] = {"configure_logging": False, "log_to_driver": False}
        # Below /tmp itself: the path of a socket in it may have about a hundred characters.
        temporary = left.enter_context(
            tempfile.TemporaryDirectory(prefix="facereg-ray-", ignore_cleanup_errors=True)
        )
        if resources.address is None:
            known |= {"_temp_dir": temporary, "include_dashboard": False}
            known |= {"num_cpus": resources.cpus * resources.jobs, "num_gpus": 0}
            known |= {"object_store_memory": 100 << 20, "_node_ip_address": "127.0.0.1"}
        else:
            _check_address(resources.address)
            known["address"] = resources.address
        where = resources.address or "this machine"
        # A thread of Ray prints what becomes of nodes, and stdout is for --json.
        left.enter_context(contextlib.redirect_stdout(sys.stderr))
        left.callback(ray.shutdown)
        try:
            with _working_in(temporary):
                ray.init(**known)
        except Exception as e:  # of many kinds, and of several lines
            lines = str(e).strip().splitlines() or [type(e).__name__]
            raise FaceregError(f"--on ray: cannot work with {where}: {lines[0]}") from e
        most = max((node["Resources"].get("CPU", 0) for node in ray.nodes()), default=0)
        if most < resources.cpus:
            raise FaceregError(
                f"--on ray: a job asks for {resources.cpus} CPUs (--cpus-per-job), and the largest "
                f"node of {where} has {most:.0f}"
            )
        yield


@contextlib.contextmanager
def _working_in(folder: str) -> Iterator[None]:
    """Work in another folder for a moment: Ray's workers import from the one it was started in."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _import_ray() -> Any:
    """Import Ray, which takes a second.

    Raises:
        FaceregError: it is not installed.
    """
    try:
        return import_module("ray")
    except ImportError:
        raise missing_extra("ray", "ray", "--on ray") from None


def _check_address(address: str) -> None:
    """Check that somebody listens, as Ray itself takes minutes to give up.

    Raises:
        FaceregError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise FaceregError(f"--on ray:{address}: name HOST:PORT of the cluster, such as head:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as e:
        reason = getattr(e, "strerror", None) or e
        raise FaceregError(f"--on ray:{address}: no cluster answers there: {reason}") from e


@dataclass(frozen=True)
class Task:
    """What a node does: a job's process, from its start to its end.

    Attributes:
        name: of the job.
        arguments: the command line of ``run``.
        make_command: makes the process's command line of it, on the node.
        environment: added to the node's.
        version: of facereg, which the node must have, too.
        max_silent_seconds: after which a process that says nothing is killed.
    """

    name: str
    arguments: Sequence[str]
    make_command: Callable[[Sequence[str]], list[str]]
    environment: Mapping[str, str]
    version: str = __version__
    max_silent_seconds: float = MAX_SILENT_SECONDS

    def run(self, report: Callable[[bytes], None]) -> tuple[int, str]:
        """Run the process.

        Args:
            report: is given each line that it says.

        Returns:
            Its exit code, and the end of its stderr.
        """
        if self.version != __version__:
            return 1, f"{socket.gethostname()} has facereg {__version__}, not {self.version}"
        records = Records()
        environment = {**os.environ, **self.environment}
        child = Child.start(
            Job(self.name, Path(), False, {}, None),
            self.make_command(self.arguments),
            environment,
            records,
        )
        try:
            while child.process.poll() is None:
                for _, line in records.take(POLL_SECONDS):
                    child.heard = time.monotonic()
                    report(line)
                if time.monotonic() - child.heard > self.max_silent_seconds:
                    report(child.describe_hang(self.max_silent_seconds))
                    child.kill()
            for _, line in child.finish(records):
                report(line)
            return child.process.returncode, child.close()
        finally:
            child.kill()


@dataclass(eq=False)
class Try:
    """One try of a job.

    Attributes:
        job: which.
        folder: what it writes into.
        outputs: what it writes there.
        begun: whether it has said anything.
    """

    job: Job
    folder: Path
    outputs: Mapping[OutputKind, Path]
    begun: bool = False


class Cluster:
    """Runs jobs on a cluster, the largest first. It must be `connected`.

    Args:
        jobs: all of them; those that wait are run.
        arguments: makes the command line of ``run`` that writes given outputs of a job.
        make_command: makes the command line of a process of it, on a node.
        observer: what is called when a job begins or ends.
        resources: what a job asks for.
        folder: for the tries, on the file system of the outputs. It is removed.
        environment: added to that of the processes.
        retries: how often a job that failed is begun again.

    Attributes:
        interrupted: whether `interrupt` was called.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        arguments: Callable[[Job, Mapping[OutputKind, Path]], list[str]],
        make_command: Callable[[Sequence[str]], list[str]],
        observer: Observer,
        *,
        resources: Resources,
        folder: Path,
        environment: Mapping[str, str],
        retries: int = 0,
    ) -> None:
        self.interrupted = False
        self._ray = ray = _import_ray()
        self._jobs, self._arguments, self._make_command = jobs, arguments, make_command
        self._observer, self._resources, self._folder = observer, resources, folder
        self._environment, self._retries = environment, retries
        self._tries: dict[Any, Try] = {}
        self._lost: dict[Job, int] = {}
        self._asked = 0  # interrupts that were asked for, and those that were passed on
        self._passed_on = 0
        strategies = import_module("ray.util.scheduling_strategies")
        here = strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._reports = ray.remote(num_cpus=0, scheduling_strategy=here)(_Reports).remote()
        self._run_task = ray.remote(num_cpus=resources.cpus, memory=MEMORY_BYTES, max_retries=0)(
            _run_task
        )

    def run(self) -> None:
        """Run what is waiting. After `interrupt`, nothing more is begun and the rest finishes."""
        shutil.rmtree(self._folder, ignore_errors=True)  # of a batch that was killed
        try:
            while self._submit() or self._tries:
                done, _ = self._ray.wait(list(self._tries), timeout=POLL_SECONDS)
                self._take_reports()
                self._pass_interrupt_on()
                for reference in done:
                    self._end(reference, self._tries.pop(reference))
                self._observer.tick()
        finally:
            for reference in self._tries:  # something went wrong on our side
                self._ray.cancel(reference, force=True)
            shutil.rmtree(self._folder, ignore_errors=True)

    def interrupt(self, times: int = 1) -> None:
        """Finish what is begun, and begin no more.

        Args:
            times: how often the user has asked; from the second time on, processes are killed.
        """
        self.interrupted, self._asked = True, times

    def _pass_interrupt_on(self) -> None:
        """Take what is not begun off the cluster; what is, too, if asked twice."""
        if self._asked > self._passed_on:
            self._passed_on = self._asked
            for reference, one in self._tries.items():
                if self._asked > 1 or not one.begun:
                    self._ray.cancel(reference, force=self._asked > 1)

    def _submit(self) -> bool:
        """Hand jobs to the cluster; report whether there were any."""
        if self.interrupted:
            return False
        slots = int(self._ray.cluster_resources().get("CPU", 0)) // self._resources.cpus
        room = slots + QUEUED_JOBS - len(self._tries)
        if room <= 0:
            return False
        waiting = sorted((j for j in self._jobs if j.state == "waiting"), key=lambda j: -j.size)
        for job in waiting[:room]:
            job.begin()
            self._observer.started(job)
            self._begin(job)
        return bool(waiting[:room])

    def _begin(self, job: Job) -> None:
        folder = self._folder / uuid.uuid4().hex
        try:
            folder.mkdir(parents=True)
        except OSError as e:
            raise SinkError(f"{folder}: {e.strerror or e}") from e
        outputs = {
            kind: folder / path.name
            for kind, path in job.outputs.items()
            if not is_remote(path)  # its process uploads it itself, to the same name in every try
        }
        arguments = self._arguments(job, outputs)
        task = Task(folder.name, arguments, self._make_command, self._environment)
        self._tries[self._run_task.remote(task, self._reports)] = Try(job, folder, outputs)

    def _take_reports(self) -> None:
        by_name = {one.folder.name: one for one in self._tries.values()}
        for name, line in self._ray.get(self._reports.take.remote()):
            if one := by_name.get(name):
                one.begun = True
                take_record(one.job, line)

    def _end(self, reference: Any, one: Try) -> None:
        """Note how a try ended, and publish what it made."""
        job = one.job
        try:
            code, words = self._ray.get(reference)
            end_job(job, code, words, retries=self._retries, interrupted=self.interrupted)
            if job.state == "done":
                self._publish(one)
        except self._ray.exceptions.TaskCancelledError:
            job.state = "interrupted"
        except self._ray.exceptions.RayTaskError as e:
            job.fail(f"{type(e.cause).__name__}: {e.cause}")
        except self._ray.exceptions.RayError as e:
            self._give_back(job, type(e).__name__)
        except (SinkError, OSError) as e:
            job.fail(str(e))
        shutil.rmtree(one.folder, ignore_errors=True)
        if job.state != "waiting":
            self._observer.ended(job)

    def _give_back(self, job: Job, reason: str) -> None:
        """Let a job wait again whose node, or whose worker, is gone."""
        self._lost[job] = self._lost.get(job, 0) + 1
        if self.interrupted:
            job.state = "interrupted"
        elif self._lost[job] > MAX_LOST_NODES:
            job.fail(f"{self._lost[job]} nodes were lost while they worked on it")
        else:
            job.state = "waiting"
            log.warning(
                "%s: its node is lost (%s); trying again elsewhere", describe(job.source), reason
            )

    def _publish(self, one: Try) -> None:
        """Put what a try made under its names.

        Raises:
            SinkError: something that may not be replaced is there.
        """
        for kind, made in one.outputs.items():
            move_into_place(made, one.job.outputs[kind], overwrite=one.job.replaces)
        one.job.totals = _renamed(
            one.job.totals, {str(made): str(one.job.outputs[k]) for k, made in one.outputs.items()}
        )


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Replace the names of a try's outputs in plain values by those that they were given."""
    if isinstance(value, str):
        return names.get(value.rstrip(os.sep), value)
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


class _Reports:
    """What the processes of a cluster said, until the batch has read it: an actor."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, bytes]] = []

    def put(self, name: str, line: bytes) -> None:
        """Add a line of a try."""
        self._lines.append((name, line))

    def take(self) -> list[tuple[str, bytes]]:
        """Return what is there, and forget it."""
        lines, self._lines = self._lines, []
        return lines


def _run_task(task: Task, reports: Any) -> tuple[int, str]:
    """Run a task on a node. Lines of a try are read in order before its end is seen."""
    sent: list[Any] = []

    def report(line: bytes) -> None:
        sent.append(reports.put.remote(task.name, line))

    outcome = task.run(report)
    _import_ray().get(sent[-1:])
    return outcome
