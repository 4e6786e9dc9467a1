"""YuNet: its file is fetched with consent, verified, and finds faces with landmarks."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facereg import downloads
from facereg.cli import main
from facereg.downloads import find_download
from facereg.errors import ModelError, UsageError
from facereg.plugins.yunet import YunetDetector

CONTENT = b"no network, but a file" * 10


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder in place of GitHub, and pin what is in its file."""
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "yunet.onnx").write_bytes(CONTENT)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pinned = replace(
            find_download("yunet"),
            address=f"http://127.0.0.1:{server.server_port}/yunet.onnx",
            size=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
        )
        monkeypatch.setattr(downloads, "DOWNLOADS", (pinned,))
        monkeypatch.setenv("FACEREG_MODELS", str(tmp_path / "models"))
        yield folder
        server.shutdown()


def test_a_file_is_fetched_with_consent_and_verified(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "get", "yunet"]) == 2
    assert "add --yes if it may be fetched" in capsys.readouterr().err
    assert main(["models", "get", "yunet", "--yes"]) == 0
    assert (tmp_path / "models" / "yunet_n_640_640.onnx").read_bytes() == CONTENT


def test_another_content_is_not_kept(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (served / "yunet.onnx").write_bytes(CONTENT[::-1])
    assert main(["models", "get", "yunet", "-y"]) == 1
    assert "is not the file that facereg knows as yunet" in capsys.readouterr().err
    (served / "yunet.onnx").write_bytes(CONTENT * 1000)
    assert main(["models", "get", "yunet", "-y"]) == 1
    assert not list((tmp_path / "models").glob("*"))


def test_a_copy_is_taken_instead(served: Path, tmp_path: Path) -> None:
    assert main(["models", "get", "yunet", "--file", str(served / "yunet.onnx")]) == 0
    assert (tmp_path / "models" / "yunet_n_640_640.onnx").read_bytes() == CONTENT
    assert main(["models", "get", "yunet", "--file", str(served / "no.onnx")]) == 1


def test_a_server_that_refuses_is_one_line(
    served: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = replace(find_download("yunet"), address="http://127.0.0.1:9/yunet.onnx")
    monkeypatch.setattr(downloads, "DOWNLOADS", (refused,))
    assert main(["models", "get", "yunet", "-y"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "cannot be fetched" in line and "--file FILE" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["get"], "what to fetch is missing; known: yunet"),
        (["get", "yunett"], "yunett"),
        (["--yes"], "belong to facereg models get"),
    ],
)
def test_a_wrong_request_is_said(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *words]) == 2
    assert message in capsys.readouterr().err


def test_without_its_file_the_detector_says_how_to_get_it(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with pytest.raises(ModelError, match="facereg models get yunet"):
        YunetDetector()
    with pytest.raises(ModelError, match="no such file"):
        YunetDetector(weights=tmp_path / "no.onnx")
    (tmp_path / "bad.onnx").write_bytes(CONTENT)
    with pytest.raises(ModelError, match="not the network of YuNet"):
        YunetDetector(weights=tmp_path / "bad.onnx")
    with pytest.raises(UsageError, match="size=8"):
        YunetDetector(size=8)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "yunet_n_640_640.onnx").write_bytes(CONTENT[1:])
    with pytest.raises(ModelError, match="damaged"):
        YunetDetector()
