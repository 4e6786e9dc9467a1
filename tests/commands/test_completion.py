"""``facereg completion``: what the Tab key offers."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from facereg.cli import main


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the script for bash."""
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


def completed(script: str, *words: str) -> list[str]:
    """Ask bash what may follow, as the Tab key behind the last word does."""
    code = f'{script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_facereg\n'
    code += "printf '%s\\n' \"${COMPREPLY[@]}\""
    command = ["bash", "-c", code, "bash", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("facereg eva", "evaluate"),
        ("facereg run in.mp4 --detect-", "--detect-every"),
        ("facereg run in.mp4 -d mt", "mtcnn"),
        ("facereg run in.mp4 -s psp", "pspnet"),
        ("facereg run in.mp4 -i upper", "upper_lip"),
        ("facereg run in.mp4 --view ga", "gallery"),
        ("facereg plugins mask", "masks"),
        ("facereg run in.mp4 --masks-format f", "ffv1"),
    ],
)
def test_bash_completes(script: str, line: str, offered: str) -> None:
    assert completed(script, *line.split()) == [offered]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_their_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    shown = capsys.readouterr().out
    assert "detect-every" in shown
    assert "mtcnn" in shown
