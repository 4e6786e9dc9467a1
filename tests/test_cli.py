"""How commands are typed, and how they end."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import facereg
from facereg import cli
from facereg.commands import models
from facereg.errors import ModelError, UsageError

PARSER = cli.get_parser()

ROOT = Path(facereg.__file__).parents[1]

COMMANDS = cli.commands(PARSER)


def facereg_command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "facereg", *arguments]
    return subprocess.run(command, text=True, check=False, **{"capture_output": True, **options})


def fails_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``facereg models`` fail."""

    def run(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(models, "run", run)


# What can be typed


def test_version() -> None:
    assert facereg_command("--version").stdout == f"facereg {facereg.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_module(command: str) -> None:
    module = importlib.import_module(f"facereg.commands.{command.replace('-', '_')}")

    assert callable(module.run)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reads_only_what_can_be_typed(command: str) -> None:
    path = Path(facereg.__file__).parent / "commands" / f"{command.replace('-', '_')}.py"
    read = set(re.findall(r"\bargs\.(\w+)", path.read_text(encoding="utf-8")))

    assert read <= {action.dest for action in COMMANDS[command]._actions} | {"parser", "argv"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_argument_explains_itself(command: str) -> None:
    parser = COMMANDS[command]

    assert parser.description.endswith(".")
    explained = {"choices", "help"}
    for action in parser._actions:
        assert any(getattr(action, name) for name in explained), action.dest
    parser.format_help()  # a stray % in a help text fails here


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_that_can_be_typed(command: str) -> None:
    shown = COMMANDS[command].format_help()

    assert cli.EXAMPLES[command]
    for example in cli.EXAMPLES[command]:
        assert f"\n  {example}\n" in shown
        words = shlex.split(example.partition(" >")[0])
        assert words[:2] == ["facereg", command]
        PARSER.parse_args(words[1:])


def test_parser_is_made_without_any_package() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from facereg import cli; cli.get_parser().format_help()\n"
        "print(*sorted(m for m in sys.modules if m.startswith('facereg')))"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        check=True,
        cwd="/",
        capture_output=True,
        text=True,
    )

    loaded = {name.removeprefix("facereg.") for name in done.stdout.split()}
    assert loaded == {
        "facereg", "_version", "cli", "commands", "commands.options", "commands.streams",
        "commands.values",
    }  # fmt: skip


def test_run_takes_what_the_manual_promises() -> None:
    args = PARSER.parse_args(
        shlex.split(
            "run in.mp4 -o out.mp4 -w -i eyes,lips -m masks --masks-format ffv1 --stats s.csv "
            "-d haar -s pspnet:size=288 --sink mp4:path=raw.mp4,view=raw --sink masks:path=m "
            "--plugin a.py --plugin b.py --view isolated:eyes+lips --max-faces 2 --detect-every 3 "
            "--codec hevc --crf 23 --start 1:05.5 --duration 90 --resume --on-error skip "
            "--no-smooth --overwrite --quiet --json --debug"
        )
    )

    assert (args.source, args.output) == ("in.mp4", "out.mp4")
    assert (args.masks, args.stats) == ("masks", "s.csv")
    assert (args.window, args.isolated, args.masks_format) == (True, ["eyes", "lips"], "ffv1")
    assert (args.detector, args.segmenter) == ("haar", "pspnet:size=288")
    assert args.sink == ["mp4:path=raw.mp4,view=raw", "masks:path=m"]
    assert args.plugin == ["a.py", "b.py"]
    assert (args.view, args.max_faces, args.detect_every) == ("isolated:eyes+lips", 2, 3)
    assert (args.start, args.duration, args.on_error, args.smooth) == (65.5, 90.0, "skip", False)
    assert (args.codec, args.crf) == ("hevc", 23)
    assert args.resume and args.overwrite and args.quiet and args.json and args.debug


def test_run_without_flags_leaves_choices_open() -> None:
    args = PARSER.parse_args(["run", "0"])

    assert (args.detector, args.segmenter, args.view) == ("mtcnn", "pspnet", "overlay")
    assert (args.sink, args.plugin) == ([], [])
    assert {args.smooth, args.start, args.duration, args.max_faces, args.codec, args.crf} == {None}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("75", 75), ("75.5", 75.5), ("1:15", 75), ("1:02:03.25", 3723.25), ("0", 0)],
)
def test_times(text: str, seconds: float) -> None:
    assert PARSER.parse_args(["run", "in.mp4", "--start", text]).start == seconds


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "in.mp4", "--frames", "5"],
        ["run", "in.mp4", "--over"],  # an abbreviation would change its meaning with a new flag
        ["run", "in.mp4", "--start", "soon"],
        ["run", "in.mp4", "--start", "1:2:3:4"],
        ["run", "in.mp4", "--duration", "0"],
        ["run", "in.mp4", "--max-faces", "0"],
        ["run", "in.mp4", "--detect-every", "2.5"],
        ["run", "in.mp4", "-i", "eyes,,lips"],
        ["run", "in.mp4", "--masks-format", "gif"],
        ["train", "faces"],
        ["train", "faces", "-o", "m.safetensors", "--minutes", "-1"],
        ["completion", "cmd"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)

    assert ended.value.code == 2
    assert "usage: facereg" in capsys.readouterr().err


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([])

    assert ended.value.code == 2
    assert capsys.readouterr().err == PARSER.format_help()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["run", "in.mp4", "--detect-evry", "3"], "--detect-evry 3; did you mean --detect-every?"),
        (["run", "in.mp4", "more.mp4"], "unrecognized arguments: more.mp4"),
        (["models", "--vew=raw"], "unrecognized arguments: --vew=raw"),
        (["run", "a", "rtsp://me:1234@cam\x1b[2J"], r"arguments: rtsp://me:***@cam\x1b[2J"),
        (["run", "a", "--start", "\x1b[2J"], r"argument --start: '\x1b[2J' is neither"),
    ],
)
def test_an_unknown_argument_shows_the_usage_of_its_command(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)

    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert shown.startswith(f"usage: facereg {arguments[0]} ")
    assert error in shown.splitlines()[-1]


def test_a_wrong_value_found_later_is_2_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails_with(UsageError("unknown region 'nostril'"), monkeypatch)

    assert cli.main(["models"]) == 2
    assert capsys.readouterr().err == "facereg: error: unknown region 'nostril'\n"


# How it ends


def test_an_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails_with(ModelError("base.safetensors: damaged;\n  install again"), monkeypatch)

    assert cli.main(["models"]) == 1
    assert capsys.readouterr().err == "facereg: error: base.safetensors: damaged; install again\n"


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails_with(ModelError("damaged"), monkeypatch)

    assert cli.main(["models", "--debug"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.endswith("\nfacereg: error: damaged\n")


def test_a_file_that_cannot_be_written_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails_with(PermissionError(13, "Permission denied", "/etc/areas.png"), monkeypatch)

    assert cli.main(["models"]) == 1
    assert capsys.readouterr().err == "facereg: error: /etc/areas.png: Permission denied\n"


def test_a_fault_of_ours_is_one_line_that_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails_with(KeyError("card"), monkeypatch)

    assert cli.main(["models"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("facereg: error: KeyError: 'card' (a fault of facereg's")
    assert shown.count("\n") == 1


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(KeyboardInterrupt(), monkeypatch)

    assert cli.main(["models"]) == 130


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM to send")
def test_sigterm_ends_as_ctrl_c_does() -> None:
    code = (
        "import sys, time\nfrom facereg import cli\nfrom facereg.commands import models\n"
        "def run(args):\n"
        "    try:\n        print('up', flush=True); time.sleep(60)\n"
        "    finally:\n        print('files finished', flush=True)\n"
        "models.run = run\nsys.exit(cli.main(['models']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGTERM)

        assert child.stdout.read() == "files finished\n"
        assert child.wait() == 130


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = facereg_command("plugins", capture_output=False, stdout=pipe, stderr=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp850"])
@pytest.mark.parametrize("command", ["run --help", "--help", "plugins"])
def test_an_old_encoding_shows_what_it_can(command: str, encoding: str) -> None:
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = facereg_command(*command.split(), env=env, encoding=encoding)

    assert (done.returncode, done.stderr) == (0, "")
    if command == "run --help" and encoding == "ascii":
        assert "REGION[,REGION...]" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="has no such descriptors")
@pytest.mark.slow
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str, tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\nfrom facereg import cli\nfrom facereg.commands import models\n"
        "def run(args):\n"
        "    file = open('written', 'w')\n"
        "    print('shown'); print('said', file=sys.stderr)\n"
        "    __import__('os').write(2, b'a library speaks')\n"
        "    file.write('data'); file.close()\n    return 0\n"
        "models.run = run\nsys.exit(cli.main(['models']))"
    )
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {closed}"

    done = subprocess.run(command, shell=True, cwd=tmp_path, check=False)

    assert done.returncode == 0
    assert (tmp_path / "written").read_text() == "data"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.slow
def test_a_full_disk_behind_stdout_is_one_line() -> None:
    streams = {"capture_output": False, "stderr": subprocess.PIPE}
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = facereg_command("models", stdout=full, env=env, **streams)

    assert done.returncode == 1
    assert done.stderr == "facereg: error: stdout: No space left on device\n"


@pytest.mark.slow
def test_module_runs_as_the_command_does(tmp_path: Path) -> None:
    done = facereg_command("run", str(tmp_path / "no.mp4"), "-o", str(tmp_path / "out.mp4"))

    assert done.returncode == 1
    assert done.stderr.startswith("facereg: error: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


# What is said on the way


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "facereg: found 3\nfacereg: warning: found none\n"),
        (["--quiet"], "facereg: warning: found none\n"),
    ],
)
def test_notices_and_warnings(
    flags: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(_: argparse.Namespace) -> int:
        log = logging.getLogger("facereg.models")
        log.debug("looking")
        log.info("found %d", 3)
        log.warning("found none")
        return 0

    monkeypatch.setattr(models, "run", run)

    assert cli.main(["models", *flags]) == 0
    assert capsys.readouterr().err == said
    assert not logging.getLogger("facereg").handlers  # nothing is left behind for the next call


def test_what_comes_from_outside_is_shown_without_control_characters_and_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        logging.getLogger("facereg.models").warning("\x1b[2Jrtsp://me:1234@camera")
        raise ModelError("https://host/a?token=1234 \x07 caf\udce9.mp4")

    monkeypatch.setattr(models, "run", run)

    assert cli.main(["models"]) == 1
    assert capsys.readouterr().err == (
        "facereg: warning: \\x1b[2Jrtsp://me:***@camera\n"
        "facereg: error: https://host/a?token=*** \\x07 caf\\xe9.mp4\n"
    )
