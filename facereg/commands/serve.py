"""``facereg serve``: cameras in a browser."""

from __future__ import annotations

import argparse
import logging
import os

from ..errors import UsageError, missing_extra
from ..registry.registry import Registry
from ..workers import cores
from .batch import THREAD_VARIABLES
from .cameras import Setup, plan
from .opencv import installed_opencvs, opencv_clash
from .python_process import python_command

log = logging.getLogger(__name__)

#: What the process of a camera runs.
CHILD_CODE = """
from facereg import cli
from facereg.commands import camera
sys.exit(camera.run(cli.parse_args))
"""

#: Where the server listens unless something else is said.
HOST, PORT = "127.0.0.1", 8000


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    try:
        from ..web.server import addresses, listen, serve
    except ImportError as e:
        raise missing_extra(str(e.name), "web", "facereg serve") from None
    from ..web.app import Hub
    from ..web.camera import Camera
    from ..web.recordings import Shelf
    from ..web.security import Access, is_loopback, new_token

    if clash := opencv_clash(installed_opencvs()):
        log.warning(clash)
    setup = plan(args)
    _check(setup)
    host = args.host or setup.server.get("host") or HOST
    port = args.port if args.port is not None else setup.server.get("port", PORT)
    token = _token(args, setup.server.get("token"))
    made = token is None and not args.no_token and not is_loopback(host)
    if made:
        token = new_token()
    elif token is None and not is_loopback(host):
        log.warning("--no-token: everybody who reaches %s sees the cameras", host)
    listening = listen(host, port)
    port = listening.getsockname()[1]
    known = frozenset({"localhost", "127.0.0.1", "::1", host.lower()})
    access = Access(token, port, known if token is None and is_loopback(host) else frozenset())
    command = python_command(CHILD_CODE)
    environment = _environment(len(setup.cameras))
    cameras = [Camera(config, command, environment) for config in setup.cameras]
    # The one place where the token is shown, and only if facereg has made it.
    print(f"facereg: open {addresses(host, port, token if made else None)}", flush=True)
    serve(Hub(cameras, Shelf(setup.cameras)), access, listening)
    return 0


def _token(args: argparse.Namespace, of_file: str | None) -> str | None:
    """Return the token that the user has given, if any."""
    given = args.token or os.environ.get("FACEREG_TOKEN") or of_file
    if args.token == "":
        raise UsageError("--token: it is empty; leave the flag out, and facereg makes one")
    if args.no_token:
        if args.token:
            raise UsageError("--token and --no-token cannot both be meant")
        return None
    return given


def _check(setup: Setup) -> None:
    """Find what is wrong before anything is started.

    Raises:
        UsageError: an unknown source, component, view or option.
    """
    registries: dict[tuple[str, ...], Registry] = {}
    for config in setup.cameras:
        values = setup.values[config.name]
        plugins = tuple(values["plugin"])
        registry = registries.setdefault(plugins, Registry(plugins))
        registry.view(values["view"])
        registry.check("detector", values["detector"])
        registry.check("segmenter", values["segmenter"])
        for spec in values["sink"]:
            registry.check("sink", spec)
        registry.check_source(config.source)


def _environment(cameras: int) -> dict[str, str]:
    """Share the cores among the cameras."""
    if cameras == 1:
        return dict(os.environ)
    threads = str(cores() // cameras or 1)
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, threads)}
