"""What the server answers: the page, pictures, streams, figures and recordings."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..sinks.display import keys
from ..sinks.display.keys import WINDOW_ONLY
from ..sinks.web import ORDERS
from .camera import Camera
from .metrics import exposition
from .recordings import TYPES, Shelf
from .security import Access, Guard
from .watch import Item, Stream, Watch

log = logging.getLogger(__name__)

#: The files of the page, and what they are.
PAGE_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/player.js": ("player.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

#: The streams that a page may look at.
STREAMS: dict[str, Stream] = {"h264": "h264", "jpeg": "jpeg"}

#: What separates the pictures of an MJPEG stream.
BOUNDARY = "facereg-frame"

#: Seconds after which a comment keeps a silent stream of events open, and between two log lines.
COMMENT_SECONDS, SUMMARY_SECONDS = 15.0, 60.0


class Hub:
    """The cameras of a server.

    Args:
        cameras: all of them.
        shelf: finds their recordings.
    """

    def __init__(self, cameras: Sequence[Camera], shelf: Shelf) -> None:
        self.cameras = {camera.name: camera for camera in cameras}
        self.shelf = shelf
        self._tasks: list[asyncio.Task[None]] = []

    def find(self, name: str) -> Camera:
        """Find a camera.

        Raises:
            HTTPException: there is none of that name.
        """
        try:
            return self.cameras[name]
        except KeyError:
            raise HTTPException(404, "there is no such camera") from None

    def start(self) -> None:
        """Start every camera."""
        runs = [camera.run() for camera in self.cameras.values()]
        self._tasks = [asyncio.ensure_future(run) for run in (*runs, self._summarise())]

    def release(self) -> None:
        """Let everybody go who looks."""
        for camera in self.cameras.values():
            camera.release()

    async def stop(self) -> None:
        """Stop every camera, and wait until its files are finished."""
        self.release()
        await asyncio.gather(*(camera.stop() for camera in self.cameras.values()))
        self._tasks.pop().cancel()
        await asyncio.gather(*self._tasks)

    async def _summarise(self) -> None:
        """Log a line about each camera, once a minute."""
        before: dict[str, float] = {}
        while True:
            await asyncio.sleep(SUMMARY_SECONDS)
            for name, camera in self.cameras.items():
                frames = camera.counters.total("frames")
                rate = (frames - before.get(name, 0.0)) / SUMMARY_SECONDS
                before[name] = frames
                log.info(
                    "%s: %s, %.1f frames/s, %d faces so far, %d dropped, %d reconnects, %d looking",
                    *(name, camera.phase, rate, camera.counters.total("found")),
                    *(camera.counters.total("dropped"), camera.reconnects, camera.viewers),
                )


def make_app(hub: Hub, access: Access) -> ASGIApp:
    """Make the application: everything passes a `Guard` first."""
    handlers = _Handlers(hub)
    routes = [
        *(Route(path, handlers.page_file) for path in PAGE_FILES),
        Route("/actions", handlers.actions),
        Route("/healthz", handlers.healthz),
        Route("/metrics", handlers.metrics),
        Route("/cameras", handlers.list_cameras),
        Route("/cameras/{name}/stream.mjpg", handlers.mjpeg),
        Route("/cameras/{name}/snapshot.{form}", handlers.snapshot),
        Route("/cameras/{name}/masks.png", handlers.masks),
        Route("/cameras/{name}/figures", handlers.figures),
        WebSocketRoute("/cameras/{name}/live", handlers.live),
        Route("/recordings", handlers.list_recordings),
        Route("/recordings/{camera}/{file}", handlers.recording),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        hub.start()
        yield
        await hub.stop()

    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _refuse})
    app.router.redirect_slashes = False
    return Guard(app, access)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


class _Handlers:
    """One method for each kind of address."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def page_file(self, request: Request) -> Response:
        name, kind = PAGE_FILES[request.url.path]
        data = files(__package__).joinpath("page").joinpath(name).read_bytes()
        return Response(data, media_type=kind)

    async def actions(self, _: Request) -> Response:
        shown = [key._asdict() for key in keys.KEYS if key.action not in WINDOW_ONLY]
        return JSONResponse({"actions": shown})

    async def healthz(self, _: Request) -> Response:
        cameras = self._hub.cameras.values()
        fine = all(camera.healthy for camera in cameras)
        health = {camera.name: camera.health() for camera in cameras}
        body = {"status": "ok" if fine else "failing", "cameras": health}
        return JSONResponse(body, 200 if fine else 503)

    async def metrics(self, _: Request) -> Response:
        text = exposition(list(self._hub.cameras.values()))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def list_cameras(self, _: Request) -> Response:
        found = [camera.describe() for camera in self._hub.cameras.values()]
        return JSONResponse({"cameras": found})

    async def list_recordings(self, _: Request) -> Response:
        found = await asyncio.to_thread(self._hub.shelf.all)
        return JSONResponse({"recordings": [recording.describe() for recording in found]})

    async def recording(self, request: Request) -> Response:
        places = request.path_params["camera"], request.path_params["file"]
        found = await asyncio.to_thread(self._hub.shelf.find, *places)
        if found is None:
            raise HTTPException(404, "there is no such recording")
        return FileResponse(found.path, media_type=TYPES.get(found.path.suffix))

    async def snapshot(self, request: Request) -> Response:
        form = request.path_params["form"]
        if form not in ("jpg", "png"):
            raise HTTPException(404, "there are snapshot.jpg and snapshot.png")
        kind = "image/jpeg" if form == "jpg" else "image/png"
        return await self._picture(request, "snapshot", form, kind)

    async def masks(self, request: Request) -> Response:
        return await self._picture(request, "masks", "png", "image/png")

    async def _picture(self, request: Request, what: str, form: str, kind: str) -> Response:
        camera = self._hub.find(request.path_params["name"])
        data = await camera.ask(what, form)
        if not data:
            raise HTTPException(503, f"{camera.name} has no picture yet: it is {camera.phase}")
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        named = {"Content-Disposition": f'inline; filename="{camera.name}-{stamp}.{form}"'}
        return Response(data, media_type=kind, headers=named)

    async def mjpeg(self, request: Request) -> Response:
        camera = self._hub.find(request.path_params["name"])
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        return StreamingResponse(_mjpeg(camera), media_type=kind)

    async def figures(self, request: Request) -> Response:
        camera = self._hub.find(request.path_params["name"])
        return StreamingResponse(_figures(camera), media_type="text/event-stream")

    async def live(self, socket: WebSocket) -> None:
        camera = self._hub.cameras.get(socket.path_params["name"])
        stream = STREAMS.get(socket.query_params.get("stream", "jpeg"))
        if camera is None or stream is None:
            await socket.close(1008, "there is no such camera or stream")
            return
        await socket.accept()
        with camera.watched(stream) as watch:
            tasks = [
                asyncio.ensure_future(_send(socket, watch)),
                asyncio.ensure_future(_obey(socket, camera)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(1001)


async def _mjpeg(camera: Camera) -> AsyncIterator[bytes]:
    """Yield the parts of an MJPEG stream, as long as somebody takes them."""
    with camera.watched("jpeg") as watch:
        while True:
            try:
                _, items = await watch.take()
            except EOFError:
                return
            for item in items:
                size = len(item.data)
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\n"
                index = item.values["frame"]["index"]
                yield f"{head}X-Frame-Index: {index}\r\n\r\n".encode() + item.data + b"\r\n"


async def _figures(camera: Camera) -> AsyncIterator[bytes]:
    """Yield an event for each frame, and now and then a comment if none comes."""
    with camera.watched("figures") as watch:
        yield b": figures of each frame\n\n"
        while True:
            try:
                _, items = await asyncio.wait_for(watch.take(), COMMENT_SECONDS)
            except EOFError:
                return
            except (asyncio.TimeoutError, TimeoutError):
                yield b": no frame\n\n"
                continue
            for item in items:
                yield b"data: " + json.dumps(item.values).encode() + b"\n\n"


async def _send(socket: WebSocket, watch: Watch) -> None:
    """Send what a page shows: a line of JSON, and the picture that belongs to it, if any."""
    with contextlib.suppress(EOFError, WebSocketDisconnect, RuntimeError):
        while True:
            state, items = await watch.take()
            if state is not None:
                await _send_json(socket, {"state": state})
            for item in items:
                await _send_item(socket, item)


async def _send_item(socket: WebSocket, item: Item) -> None:
    await _send_json(socket, item.values)
    await socket.send_bytes(item.data)


async def _send_json(socket: WebSocket, values: Mapping[str, Any]) -> None:
    await socket.send_text(json.dumps(values))


async def _obey(socket: WebSocket, camera: Camera) -> None:
    """Do what a page asks for: press a key, or tell the time of this machine."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, KeyError):
        while True:
            text = await socket.receive_text()
            try:
                asked = json.loads(text)
            except ValueError:
                return
            if not isinstance(asked, dict):
                return
            if asked.get("do") in ORDERS:
                camera.press(asked["do"])
            elif "ping" in asked:
                await _send_json(socket, {"pong": asked["ping"], "now": 1000 * time.time()})
