"""A real RTSP server for the tests, built on Debian's GStreamer.

Run it with the system's Python, which has the bindings::

    python3 rtsp_server.py CLIP.h264 [--fps 30] [--port 0] [--user NAME --password WORD]

It plays a raw H.264 stream (with access unit delimiters and no B-frames) round and round in real
time at ``/clip``, a sound without a picture at ``/sound``, and a picture of which nothing is ever
sent at ``/silent``. It prints ``ready PORT``; ``pause`` and ``resume`` on its standard input stop
and start the sending, without closing anything.
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

CLIP = (
    "( appsrc name=clip is-live=true format=time do-timestamp=true"
    " caps=video/x-h264,stream-format=byte-stream,alignment=au,framerate={fps}/1"
    " ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
SOUND = "( audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay0 pt=8 )"


class Player:
    """Feeds the access units of a clip to every client pipeline at the clip's rate."""

    def __init__(self, clip: Path, fps: int) -> None:
        data = clip.read_bytes()
        starts = [m.start() for m in re.finditer(rb"\x00\x00\x00\x01\x09", data)]
        self.units = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
        self.loop = GLib.MainLoop()
        self.paused = False
        self.next = 0
        self.feeds: list[Gst.Element] = []
        GLib.timeout_add(1000 // fps, self.feed)

    def attach(self, _factory: object, media: GstRtspServer.RTSPMedia) -> None:
        """Feed the pipeline of a new media."""
        self.feeds.append(media.get_element().get_child_by_name("clip"))

    def feed(self) -> bool:
        """Send one access unit to each pipeline that still runs."""
        if not self.paused:
            unit = self.units[self.next % len(self.units)]
            self.next += 1
            for feed in self.feeds[:]:
                if feed.emit("push-buffer", Gst.Buffer.new_wrapped(unit)) != Gst.FlowReturn.OK:
                    self.feeds.remove(feed)
        return True

    def listen(self) -> None:
        """Obey the lines of standard input; end with it."""
        for line in sys.stdin:
            self.paused = line.strip() == "pause"
            print(line.strip(), flush=True)
        self.loop.quit()


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--port", default="0")
    parser.add_argument("--user")
    parser.add_argument("--password")
    args = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=args.port)
    server.get_thread_pool().set_max_threads(10)  # a client that waits must not hold up another
    if args.user:
        server.set_auth(_lock(args.user, args.password))
    player = Player(args.clip, args.fps)
    for path, pipeline in {
        "/clip": CLIP.format(fps=args.fps),
        "/silent": CLIP.format(fps=args.fps),
        "/sound": SOUND,
    }.items():
        # Each client has a media of its own: a shared one that ends with its last client refuses
        # the next one for a moment.
        factory = GstRtspServer.RTSPMediaFactory(launch=pipeline)
        if path == "/clip":
            factory.connect("media-configure", player.attach)
        if args.user:
            factory.set_permissions(_allow())
        server.get_mount_points().add_factory(path, factory)
    if not server.attach(None):
        sys.exit("cannot listen")
    print("ready", server.get_bound_port(), flush=True)
    threading.Thread(target=player.listen, daemon=True).start()
    player.loop.run()


def _lock(user: str, password: str) -> GstRtspServer.RTSPAuth:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


def _allow() -> GstRtspServer.RTSPPermissions:
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    return permissions


if __name__ == "__main__":
    main()
