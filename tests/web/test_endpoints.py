"""What the server answers to programs."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facereg import views
from facereg.types import Image
from tests.sinks import two_people
from tests.sinks.two_people import STILL, looks_like
from tests.web.served import Served, until

pytest.importorskip("starlette")
pytestmark = pytest.mark.slow

RESULT = two_people.result()
SECRET_URL = "rtsp://somebody:s3cret@127.0.0.1:9/hall"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two cameras, and one that is never reached."""
    folder = tmp_path_factory.mktemp("serve")
    sources = ("front=people:x", "back=people:x", f"gone={SECRET_URL}")
    with Served(folder, *sources) as served:
        served.wait_for("front", "back")
        yield served


def picture(data: bytes) -> Image:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found, np.uint8)


def near(expected: Image, most: float = 4.0) -> Any:
    return lambda shot: np.abs(shot[:STILL].astype(int) - expected[:STILL]).mean() < most


def test_health_names_the_camera_that_fails(server: Served) -> None:
    until(lambda: server.camera("gone")["problems"])
    answer = server.get("/healthz")
    assert answer.status == 503
    cameras = answer.json()["cameras"]
    assert cameras["front"]["state"] == "running"
    assert cameras["front"]["age"] < 10
    assert cameras["front"]["reconnects"] == 0
    assert cameras["gone"]["state"] in ("starting", "restarting")
    assert cameras["gone"]["problems"]


def test_no_answer_has_an_address_or_a_password(server: Served) -> None:
    until(lambda: server.camera("gone")["problems"])
    for path in ("/", "/healthz", "/metrics", "/cameras", "/recordings", "/cameras/gone/masks.png"):
        body = server.get(path).body.decode()
        assert not re.search("s3cret|somebody|rtsp:|127.0.0.1:9|hall", body), path
    assert "s3cret" not in server.log.read_text()


def test_the_snapshot_is_what_is_shown(server: Served) -> None:
    expected = views.overlay(RESULT)
    png = server.get("/cameras/front/snapshot.png")
    assert png.headers["content-type"] == "image/png"
    assert looks_like(expected)(picture(png.body))
    jpg = server.get("/cameras/front/snapshot.jpg")
    assert jpg.headers["content-type"] == "image/jpeg"
    assert near(expected)(picture(jpg.body))


def test_the_masks_are_the_label_map_of_a_dump(server: Served) -> None:
    answer = server.get("/cameras/front/masks.png")
    import io

    from facereg.masks import png

    labels = png.decode(io.BytesIO(answer.body), (480, 640))
    assert np.array_equal(labels, RESULT.labels())


def parts(answer: HTTPResponse, count: int) -> list[Image]:
    """Read pictures of an MJPEG stream."""
    found = []
    for _ in range(count):
        length = 0
        while (line := answer.readline().strip()) or not length:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        found.append(picture(answer.read(length)))
    return found


def test_the_mjpeg_stream_moves(server: Served) -> None:
    connection, answer = server.stream("/cameras/front/stream.mjpg")
    kind = answer.headers["content-type"]
    assert kind.startswith("multipart/x-mixed-replace; boundary=")
    found = parts(answer, 4)
    connection.close()
    assert all(map(near(views.overlay(RESULT)), found))
    moving = [shot[STILL + 8 :].tobytes() for shot in found]
    assert len(set(moving)) > 1


def test_the_figures_are_a_line_a_frame(server: Served) -> None:
    connection, answer = server.stream("/cameras/front/figures")
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines: list[dict[str, Any]] = []
    while len(lines) < 5:
        line = answer.readline()
        if line.startswith(b"data: "):
            lines.append(json.loads(line[6:]))
    connection.close()
    expected = RESULT.to_dict()["faces"]
    for line in lines:
        assert [face["areas"] for face in line["faces"]] == [face["areas"] for face in expected]
        assert {"index", "time", "faces"} <= line.keys()
        for face in line["faces"]:
            assert face["measures"]["usable"] in (0, 1)
            assert 0 < face["measures"]["sharpness"] < 1
    indices = [line["index"] for line in lines]
    assert indices == sorted(set(indices))


def test_metrics_count_for_each_camera(server: Served) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    def values() -> dict[tuple[str, str], float]:
        text = server.get("/metrics").body.decode()
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        return {(s.name, s.labels["camera"]): s.value for s in samples if "le" not in s.labels}

    before = values()
    until(
        lambda: values()["facereg_frames_total", "front"] > before["facereg_frames_total", "front"]
    )
    after = values()
    assert after["facereg_faces_total", "back"] == 2 * after["facereg_frames_total", "back"]
    for name in ("dropped_frames_total", "skipped_frames_total", "reconnects_total",
                 "recorded_bytes_total", "latency_seconds_count"):  # fmt: skip
        assert after[f"facereg_{name}", "front"] == 0
    assert ("facereg_stage_seconds_total", "front") in after
    assert after["facereg_up", "gone"] == 0


@pytest.mark.parametrize(
    "path",
    ["/cameras/nobody/snapshot.png", "/cameras/nobody/stream.mjpg", "/cameras/nobody/figures",
     "/cameras/nobody/masks.png", "/cameras/front/snapshot.gif", "/recordings/front/../serve.log",
     "/recordings/front/serve.log", "/page/index.html", "/cameras/", "/..%2f..%2fetc/passwd"],
)  # fmt: skip
def test_unknown_is_404(server: Served, path: str) -> None:
    assert server.get(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_wrong_method_is_405(server: Served, method: str) -> None:
    for path in ("/", "/healthz", "/cameras/front/stream.mjpg", "/cameras/nobody/snapshot.png"):
        assert server.get(path, method).status == 405


def test_a_camera_without_a_picture_says_so(server: Served) -> None:
    answer = server.get("/cameras/gone/snapshot.png")
    assert answer.status == 503
    assert "no picture" in answer.json()["error"]


def test_a_thousand_quick_requests(server: Served) -> None:
    paths = ["/healthz", "/cameras", "/", "/page.js", "/actions"] * 200
    with ThreadPoolExecutor(8) as pool:
        statuses = [answer.status for answer in pool.map(server.get, paths)]
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) == 200  # /healthz, because of the camera that is gone
    before = server.camera("front")["frames"]
    until(lambda: server.camera("front")["frames"] > before)


def test_a_viewer_that_reads_nothing_delays_nobody(server: Served) -> None:
    stuck, _ = server.stream("/cameras/back/stream.mjpg")  # and never reads
    connection, answer = server.stream("/cameras/back/stream.mjpg")
    start = time.monotonic()
    assert len(parts(answer, 20)) == 20
    assert time.monotonic() - start < 60
    assert server.camera("back")["viewers"] == 2
    stuck.close()
    connection.close()
    until(lambda: server.camera("back")["viewers"] == 0)


def test_a_camera_that_is_killed_comes_back(tmp_path: Path) -> None:
    with Served(tmp_path, "one=people:x", "two=people:x") as served:
        served.wait_for("one", "two")
        connection, answer = served.stream("/cameras/one/stream.mjpg")
        parts(answer, 1)
        killed = served.children()[0]
        os.kill(killed, signal.SIGKILL)
        until(lambda: sum(served.camera(n)["reconnects"] for n in ("one", "two")) == 1)
        served.wait_for("one", "two")
        until(lambda: served.get("/healthz").status == 200)
        assert len(parts(answer, 30)) == 30  # the stream goes on for those who look
        connection.close()
        assert killed not in served.children()
        assert "SIGKILL" in served.log.read_text()


def test_the_end_finishes_every_process(tmp_path: Path) -> None:
    with Served(tmp_path, "one=people:x") as served:
        served.wait_for("one")
        (child,) = served.children()
        connection, answer = served.stream("/cameras/one/stream.mjpg")
        parts(answer, 1)
        assert served.stop() == 130
        connection.close()
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
