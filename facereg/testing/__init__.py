"""For authors of plugins: contract tests to subclass, and fakes to test with.

A plugin's test is three lines; pytest finds the checks in the base class::

    from facereg.testing import DetectorContract
    from my_detector import MyDetector

    class TestMyDetector(DetectorContract):
        component = MyDetector

The fakes stand in for the other ends of the pipeline: `MemorySource`, `ScriptedDetector` and
`RecordingSink`.
"""

from .contracts import (
    DetectorContract,
    SegmenterContract,
    SinkContract,
    SourceContract,
    run_through,
)
from .fakes import MemorySource, RecordingSink, ScriptedDetector, noise, some_result

__all__ = [
    "DetectorContract",
    "MemorySource",
    "RecordingSink",
    "ScriptedDetector",
    "SegmenterContract",
    "SinkContract",
    "SourceContract",
    "noise",
    "run_through",
    "some_result",
]
