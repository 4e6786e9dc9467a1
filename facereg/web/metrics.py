"""The figures of all cameras, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ..sinks.web import LATENCY_BOUNDS

if TYPE_CHECKING:
    from .camera import Camera

#: Metric -> the counter of a camera, and what it counts.
COUNTERS = {
    "facereg_frames": ("frames", "Frames processed"),
    "facereg_faces": ("found", "Faces in them"),
    "facereg_dropped_frames": ("dropped", "Frames dropped because the pipeline was busy"),
    "facereg_skipped_frames": ("skipped", "Frames on which a detector or segmenter failed"),
    "facereg_carried_faces": ("carried", "Masks carried along motion, and not parsed"),
    "facereg_recorded_bytes": ("recorded_bytes", "Bytes of finished recordings"),
}


class _Cameras(Collector):
    def __init__(self, cameras: Sequence[Camera]) -> None:
        self._cameras = cameras

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        for name, (counter, text) in COUNTERS.items():
            family = CounterMetricFamily(name, text, labels=["camera"])
            for camera in self._cameras:
                family.add_metric([camera.name], camera.counters.total(counter))
            yield family
        yield self._reconnects()
        yield self._stages()
        yield self._latency()
        yield from self._gauges()

    def _reconnects(self) -> Metric:
        family = CounterMetricFamily(
            "facereg_reconnects", "Times that the stream or its process came back",
            labels=["camera"],
        )  # fmt: skip
        for camera in self._cameras:
            family.add_metric([camera.name], camera.reconnects)
        return family

    def _stages(self) -> Metric:
        family = CounterMetricFamily(
            "facereg_stage_seconds", "Seconds spent in each stage", labels=["camera", "stage"]
        )
        for camera in self._cameras:
            for stage, ms in camera.counters.stages().items():
                family.add_metric([camera.name, stage], ms / 1000)
        return family

    def _latency(self) -> Metric:
        family = HistogramMetricFamily(
            "facereg_latency_seconds", "Seconds from a live frame's grab to its result",
            labels=["camera"],
        )  # fmt: skip
        for camera in self._cameras:
            counts = camera.counters.latencies() or [0] * (len(LATENCY_BOUNDS) + 1)
            bounds = [*map(str, LATENCY_BOUNDS), "+Inf"]
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric([camera.name], buckets, camera.counters.total("latency_sum"))
        return family

    def _gauges(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("facereg_up", "Whether pictures come", labels=["camera"])
        age = GaugeMetricFamily(
            "facereg_frame_age_seconds", "Seconds since the last frame", labels=["camera"]
        )
        viewers = GaugeMetricFamily("facereg_viewers", "People who look", labels=["camera"])
        for camera in self._cameras:
            up.add_metric([camera.name], camera.phase == "running")
            age.add_metric([camera.name], camera.age)
            viewers.add_metric([camera.name], camera.viewers)
        yield from (up, age, viewers)


def exposition(cameras: Sequence[Camera]) -> bytes:
    """Write the figures in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Cameras(cameras))
    return generate_latest(registry)
