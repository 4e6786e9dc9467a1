"""The HTTP server: its socket, its limits, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import FaceregError
from .app import Hub, make_app
from .security import Access

#: Connections at a time: each camera on each page is one. More are answered with 503.
MAX_CONNECTIONS = 200

#: Bytes of a request's head, and of a message that a page sends.
MAX_HEAD_BYTES, MAX_MESSAGE_BYTES = 16_384, 4096

#: Seconds for the head of a request, after an answer until the next request, and for streams to
#: end when the server does.
HEAD_SECONDS, IDLE_SECONDS, GRACE_SECONDS = 10.0, 15, 3

#: Bytes that the system keeps for a viewer: little, so that a slow one is not far behind.
SEND_BUFFER_BYTES = 1 << 18


def listen(host: str, port: int) -> socket.socket:
    """Open the server's socket.

    Raises:
        FaceregError: the port is taken, or there is no such host.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as e:
        raise FaceregError(f"--host {host}: {e.strerror}") from e
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listening.bind(address)
        listening.listen(128)
    except OSError as e:
        listening.close()
        if e.errno == errno.EADDRINUSE:
            raise FaceregError(
                f"port {port} of {host} is taken; choose another one with --port"
            ) from e
        raise FaceregError(f"cannot listen on port {port} of {host}: {e.strerror or e}") from e
    return listening


def serve(hub: Hub, access: Access, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, and let every camera finish its files.

    Raises:
        KeyboardInterrupt: a signal ended it.
    """
    for name in ("uvicorn.error", "uvicorn.asgi"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what strangers send is no news
    config = uvicorn.Config(
        make_app(hub, access),
        http=_PromptProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with listening:
        _Server(config, hub).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Lets those go who look before it waits for their requests to end."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets=sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._hub.release)


class _PromptProtocol(H11Protocol):
    """Closes connections whose request does not come."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete and self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        upgraded = self.transport.get_protocol() is not self
        if not upgraded and (self.cycle is None or self.cycle.response_complete):
            self.transport.close()


def addresses(host: str, port: int, token: str | None) -> str:
    """Write the address under which the page is found."""
    shown = socket.gethostname() if host in ("0.0.0.0", "::", "") else host  # noqa: S104
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
