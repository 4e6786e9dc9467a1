"""Log lines, JSON and signals of a command."""

from __future__ import annotations

import json
import logging
import signal

import pytest

from facereg.commands.terminal import SIGNALS, log_on_stderr, print_json, signals_handled_by


def test_json_has_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": ["rtsp://me:1234@cam", 2.5, None, True], "https://h/?token=1234": {"b": "c"}})

    shown = capsys.readouterr().out
    assert "1234" not in shown
    assert json.loads(shown)["a"] == ["rtsp://me:***@cam", 2.5, None, True]


def test_a_traceback_follows_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with log_on_stderr(quiet=False, debug=True):
        try:
            {}["card"]
        except KeyError:
            logging.getLogger("facereg.x").exception("cannot\x07 go on")

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == r"facereg: error: cannot\x07 go on"
    assert lines[1].startswith("Traceback")
    assert lines[-1] == "KeyError: 'card'"


def test_signals_are_handled_and_handed_back_and_what_nohup_ignores_stays_ignored() -> None:
    number = SIGNALS[-1]
    before = signal.signal(number, signal.SIG_IGN)
    came: list[int] = []
    try:
        with signals_handled_by(lambda n, _: came.append(n)):
            assert signal.getsignal(number) is signal.SIG_IGN
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(number, before)

    assert came == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
