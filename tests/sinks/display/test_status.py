"""The line below a window's picture."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from facereg.sinks.display import status
from facereg.sinks.display.meter import FpsMeter
from facereg.sinks.display.status import StatusLine
from tests.sinks import two_people

RESULT = two_people.result()


def test_it_counts_what_is_shown() -> None:
    meter = FpsMeter(live=True)
    assert meter.line() == "waiting for the first picture"
    for index, faces in ((7, RESULT.faces), (8, RESULT.faces), (12, RESULT.faces[:1])):
        clock = datetime.now(timezone.utc) - timedelta(milliseconds=50)
        result = replace(RESULT, frame=replace(RESULT.frame, index=index, clock=clock), faces=faces)
        meter.count(result)
        meter.shown(result)
    fps, latency, rest = re.split(r" {3}", meter.line(), maxsplit=2)
    assert fps.endswith(" fps")
    assert 50 <= int(latency.removesuffix(" ms")) < 20_000
    assert rest == "1 face   3 dropped"


def test_a_file_has_its_time_instead_of_a_latency() -> None:
    meter = FpsMeter(live=False)
    result = replace(RESULT, frame=replace(RESULT.frame, time=12.34))
    meter.count(result)
    meter.shown(result)
    assert "   12.3 s   2 faces   0 dropped" in meter.line()


def test_a_message_takes_its_place_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    line = StatusLine(FpsMeter(live=True))
    assert line.text("overlay", paused=True) == "waiting for the first picture   overlay   paused"
    line.report("saved a.png")
    assert line.text("overlay", paused=True) == "saved a.png"
    monkeypatch.setattr(status.time, "monotonic", lambda: line._until + 0.1)
    assert line.text("lips", paused=False).endswith("   lips")
