"""The command line: what can be typed, and how every command starts and ends.

Until a command runs, only the standard library is imported, here and by `commands.options`, which
describes the options of a run: ``facereg --help`` is to be instant. Each command lives in the
module of its name in `facereg.commands`, as ``run(args) -> int``.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from .commands import values
from .commands.options import COMPONENTS, OPTION_GROUPS, PLUGIN, SEGMENTER, shared
from .commands.streams import prepare_streams, stdout_works

DESCRIPTION = "Find every face in a video and say, pixel by pixel, what is skin, eye, lip or hair."

EPILOG = """\
'facereg COMMAND --help' describes a command. Components take options as NAME:option=value,…;
'facereg plugins' lists them.

exit codes: 0 done; 1 failed, for the reason in one line on stderr; 2 wrong usage; 130 interrupted
by Ctrl-C or SIGTERM: every file is finished first.
"""

#: Command lines for ``--help`` and the man page.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "facereg run in.mp4 -o out.mp4",
        "facereg run in.mp4 -m masks --stats faces.csv",
        "facereg run 0 -w",
        "facereg run in.mp4 -o out.mp4 --view blur:face",
    ),
    "batch": (
        "facereg batch videos/*.mp4 -o out --stats",
        "facereg batch videos -o out --jobs 4",
        "facereg batch 'interviews/**' @more.txt -o out -m",
        "facereg batch 'interviews/**' --stats",
        "facereg batch videos -o out --shard 3/8",
        "facereg batch --merge -o out",
        "facereg batch videos -o out --on ray:head:6379",
    ),
    "serve": (
        "facereg serve 0",
        "facereg serve front=rtsp://camera/1 back=rtsp://camera/2 --host 0.0.0.0",
        "facereg serve --config cameras.toml --view blur:face",
    ),
    "plugins": ("facereg plugins", "facereg plugins mtcnn"),
    "info": ("facereg info in.mp4",),
    "models": ("facereg models", "facereg models get yunet"),
    "evaluate": ("facereg evaluate dataset --split test",),
    "train": ("facereg train dataset -o model.safetensors --minutes 60",),
    "export": ("facereg export model.onnx -s pspnet:weights=model.safetensors",),
    "bench": ("facereg bench", "facereg bench in.mp4 --frames 300"),
    "verify": (
        "facereg verify redacted.mp4",
        "facereg verify redacted.mp4 --against in.mp4 --report proof.json",
    ),
    "convert": (
        "facereg convert masks for-cvat --to cvat",
        "facereg convert export/annotations.xml dataset --from cvat --images photos",
    ),
    "measure": ("facereg measure masks -o measures.csv",),
    "events": ("facereg events faces.csv events.tsv",),
    "doctor": ("facereg doctor",),
    "plot": (
        "facereg plot faces.csv -o areas.png --regions eyes,lips",
        "facereg plot anna.csv ben.csv -o both.png --person 1",
    ),
    "report": ("facereg report faces.csv -o report.html --video in.mp4",),
    "new-plugin": ("facereg new-plugin detector my_detector",),
    "completion": ("facereg completion bash > ~/.local/share/bash-completion/completions/facereg",),
}

SOURCE = (
    "a camera's number, a video file, an image, a folder or glob of images, an rtsp:// or http(s)://"
    " URL, or NAME:… of a plugin's source"
)


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command line; it depends on no plugin."""
    parser = _Parser(
        prog="facereg",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    added = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for add in (_run, _batch, _serve, _plugins, _info, _models, _evaluate, _train, _export, _bench):
        add(_Adder(added))
    for add in (
        _verify,
        _convert,
        _measure,
        _events,
        _doctor,
        _plot,
        _report,
        _new_plugin,
        _completion,
    ):
        add(_Adder(added))
    return parser


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Find the parser of each command in that of the whole command line."""
    found = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(next(found).choices)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong without the secrets and control characters that may be in it."""

    def error(self, message: str) -> NoReturn:
        from .errors import clean_text

        super().error(clean_text(message))


class _Version(argparse.Action):
    """Import the version only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from ._version import __version__

        print(f"{parser.prog} {__version__}")
        parser.exit()


class _Adder:
    """Adds one command and the flags that commands share."""

    def __init__(self, commands: Any) -> None:
        self._commands = commands

    def __call__(self, name: str, does: str, *, plugins: bool = False) -> argparse.ArgumentParser:
        """Add a command; ``plugins`` says whether it loads any."""
        lines = "".join(f"\n  {line}" for line in EXAMPLES[name])
        command: argparse.ArgumentParser = self._commands.add_parser(
            name,
            help=does,
            description=f"{does[0].upper()}{does[1:]}.",
            epilog=f"{'examples' if len(EXAMPLES[name]) > 1 else 'example'}:{lines}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if plugins:
            PLUGIN.add_to(command)
        command.add_argument("--quiet", action="store_true", help="only print warnings")
        command.add_argument("--debug", action="store_true", help="show tracebacks")
        return command


def _run(add: _Adder) -> None:
    run = add("run", "turn a source into a video, masks, figures or a live window")
    run.add_argument("source", metavar="SOURCE", help=SOURCE)
    for title, described in OPTION_GROUPS.items():
        group = run.add_argument_group(title)
        for option in described:
            option.add_to(group)
    run.add_argument("--json", action="store_true", help="print the totals as JSON at the end")


def _batch(add: _Adder) -> None:
    batch = add("batch", "run over many inputs, several at a time")
    batch.add_argument(
        "source",
        nargs="*",
        metavar="INPUT",
        help="a video file; a folder, for the videos in it, or its pictures; a glob, with ** for "
        "folders in folders; @FILE for a list of inputs",
    )
    for title, described in OPTION_GROUPS.items():
        group = batch.add_argument_group(title)
        if title == "outputs":
            _batch_outputs(group)
        for option in shared(described):
            option.add_to(group)
    group = batch.add_argument_group("processes")
    group.add_argument(
        "--jobs",
        type=values.positive_int,
        metavar="N",
        help="inputs at a time; they share the cores (default: one a core, at most 8)",
    )
    group.add_argument(
        "--retries",
        type=values.whole_int,
        default=0,
        metavar="N",
        help="try what fails again at once, N times (default: %(default)s)",
    )
    group.add_argument(
        "--retry-failed",
        action="store_true",
        help="try recordings again that failed by themselves in an earlier batch",
    )
    group = batch.add_argument_group("several machines")
    group.add_argument(
        "--on",
        type=values.executor,
        default="local",
        metavar="local|ray|ray:ADDRESS",
        help="where: processes here, a Ray cluster on this machine, or the one at HOST:PORT "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--cpus-per-job",
        type=values.positive_int,
        default=1,
        metavar="N",
        help="CPUs that each recording gets on a Ray cluster (default: %(default)s)",
    )
    group.add_argument(
        "--scratch",
        metavar="DIR",
        help="where recordings of an object store (s3://, gs://) lie while they are worked on "
        "(default: the system's folder for temporary files)",
    )
    group.add_argument(
        "--shard",
        type=values.shard,
        metavar="I/N",
        help="do the I-th of N parts, which have about as many bytes; the others may run at the "
        "same time, on any machine, into the same OUTDIR",
    )
    group.add_argument(
        "--merge",
        action="store_true",
        help="do nothing but write OUTDIR/summary.csv of what all shards did",
    )
    batch.add_argument("--json", action="store_true", help="print the totals as JSON at the end")


def _batch_outputs(group: argparse._ActionsContainer) -> None:
    """Add the outputs that are a name's beginning for ``batch``, and a file's for ``run``."""
    group.add_argument(
        "-o",
        "--output",
        metavar="OUTDIR",
        help="the folder for NAME.mp4 of every video, and NAME/ of every folder of pictures; "
        "without it, -m and --stats write into the current folder, and no video is made",
    )
    group.add_argument("-m", "--masks", action="store_true", help="write NAME.masks/")
    group.add_argument("--stats", action="store_true", help="write NAME.csv")
    group.add_argument(
        "--no-video", action="store_true", help="into OUTDIR, write only what -m and --stats mean"
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace existing outputs; what is complete, from the same source with the same "
        "options, is skipped all the same",
    )


def _serve(add: _Adder) -> None:
    serve = add("serve", "show cameras in a browser, and record them")
    serve.add_argument(
        "source",
        nargs="*",
        metavar="SOURCE",
        help=f"{SOURCE}; NAME=SOURCE gives it a name",
    )
    group = serve.add_argument_group("server")
    group.add_argument(
        "--config", metavar="FILE.toml", help="cameras, each with options of its own"
    )
    group.add_argument(
        "--host",
        metavar="HOST",
        help="where to listen (default: 127.0.0.1, which only this machine reaches)",
    )
    group.add_argument(
        "--port", type=values.server_port, metavar="PORT", help="0 for a free one (default: 8000)"
    )
    group.add_argument(
        "--token",
        metavar="TOKEN",
        help="what viewers must know; FACEREG_TOKEN in the environment does the same (default: "
        "one is made if other machines can reach the host)",
    )
    group.add_argument("--no-token", action="store_true", help="let everybody in")
    group.add_argument(
        "--recordings",
        metavar="DIR",
        help="where recordings go that are started on the page (default: recordings)",
    )
    for title, described in OPTION_GROUPS.items():
        group = serve.add_argument_group(title)
        for option in described:
            if option.serve:
                option.add_to(group)
    serve.set_defaults(on_sink_error="drop")  # a full disk stops recording, not looking


def _plugins(add: _Adder) -> None:
    plugins = add("plugins", "list every component, its options and its origin", plugins=True)
    plugins.add_argument("name", nargs="?", metavar="NAME", help="show everything about this one")
    _json(plugins)


def _info(add: _Adder) -> None:
    info = add("info", "show a source's size, rate, length, rotation and sound", plugins=True)
    info.add_argument("source", metavar="SOURCE", help=SOURCE)
    _json(info)


def _models(add: _Adder) -> None:
    models = add("models", "list the models found and whether they are intact, or fetch one")
    models.add_argument("action", nargs="?", choices=("get",), help="fetch a model")
    models.add_argument("name", nargs="?", metavar="NAME", help="what to fetch: yunet, a detector")
    models.add_argument("--file", metavar="FILE", help="with get: a copy that you have already")
    models.add_argument(
        "-y", "--yes", action="store_true", help="with get: fetch it without asking first"
    )
    _json(models)


def _evaluate(add: _Adder) -> None:
    evaluate = add("evaluate", "measure a model on labelled images", plugins=True)
    evaluate.add_argument(
        "dataset", metavar="DATASET", help="a folder with images/NAME.jpg|png and labels/NAME.png"
    )
    _segmenter(evaluate)
    evaluate.add_argument(
        "--split", metavar="NAME", help="only the images that NAME.txt lists (default: all)"
    )
    evaluate.add_argument(
        "--save-labels", metavar="DIR", help="write the predicted label maps as DIR/*.png"
    )
    evaluate.add_argument("--confusion", metavar="PNG", help="draw the confusion matrix")
    evaluate.add_argument(
        "--by-region", action="store_true", help="merge left and right, and both lips"
    )
    evaluate.add_argument("--overwrite", action="store_true", help="replace existing files")
    _json(evaluate)


def _train(add: _Adder) -> None:
    train = add("train", "train a model on labelled images")
    train.add_argument("dataset", metavar="DATASET", help="a folder as for evaluate")
    train.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="MODEL.safetensors",
        help="the model to write; its card (.json), recipe (.toml) and curves (.png) go next to it",
    )
    train.add_argument(
        "--recipe",
        metavar="FILE.toml",
        help="everything that decides a run, as stored with a model; the flags below override it",
    )
    train.add_argument(
        "--work",
        default="runs/train",
        metavar="DIR",
        help="folder for checkpoints; a killed run resumes there (default: %(default)s)",
    )
    train.add_argument("--overwrite", action="store_true", help="replace the model if it exists")
    length = train.add_argument_group("length")
    length.add_argument(
        "--minutes", type=values.positive_number, metavar="M", help="train for M minutes"
    )
    length.add_argument(
        "--steps", type=values.whole_int, metavar="N", help="train for N batches; 0 for none"
    )
    network = train.add_argument_group("network")
    network.add_argument(
        "--backbone", metavar="NAME", help="default: that of --weights, or mobilenet_v2"
    )
    network.add_argument("--init", metavar="FILE", help="ImageNet weights for the backbone")
    network.add_argument(
        "--weights",
        action="append",
        metavar="MODEL",
        help="a model to start from (a name or its .safetensors); tensors that do not fit are "
        "initialised; several are averaged",
    )
    network.add_argument(
        "--size", type=values.positive_int, metavar="PX", help="side of the input (default: 384)"
    )
    data = train.add_argument_group("data")
    data.add_argument("--split", metavar="NAME", help="images to learn from (default: train)")
    data.add_argument("--val", metavar="NAME", help="images to measure it on (default: val)")
    data.add_argument(
        "--also",
        action="append",
        metavar="DATASET",
        help="another dataset, with 255 for unknown pixels; may be repeated",
    )
    data.add_argument(
        "--occlude",
        type=values.fraction,
        metavar="SHARE",
        help="share of the images that get masks, hands or other objects in front of the face",
    )
    learning = train.add_argument_group("learning")
    learning.add_argument(
        "--teacher",
        dest="teachers",
        action="append",
        metavar="MODEL",
        help="a trained model (a name or its .safetensors) to learn from; may be repeated",
    )
    learning.add_argument(
        "--batch", type=values.positive_int, metavar="N", help="images in a step (default: 8)"
    )
    learning.add_argument(
        "--lr", type=values.positive_number, metavar="X", help="peak learning rate (default: 0.002)"
    )
    learning.add_argument("--seed", type=int, metavar="N", help="seed of all random numbers")


def _export(add: _Adder) -> None:
    export = add("export", "write a model as ONNX and compare it with the original", plugins=True)
    export.add_argument("output", metavar="OUT.onnx", help="the file to write")
    _segmenter(export)
    export.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    _json(export)


def _bench(add: _Adder) -> None:
    bench = add("bench", "time each stage on this machine", plugins=True)
    bench.add_argument(
        "source", nargs="?", metavar="SOURCE", help="what to run on (default: the example clip)"
    )
    _components(bench)
    bench.add_argument(
        "--frames",
        type=values.positive_int,
        default=100,
        metavar="N",
        help="maximum number of frames (default: %(default)s)",
    )
    _json(bench)


def _verify(add: _Adder) -> None:
    verify = add("verify", "search a redacted video for faces that can still be seen", plugins=True)
    verify.add_argument("video", metavar="VIDEO", help="the finished file, or a folder of images")
    verify.add_argument(
        "--against", metavar="ORIGINAL", help="the video before redaction; makes the search surer"
    )
    verify.add_argument("--report", metavar="FILE.json", help="write what was found as JSON")
    verify.add_argument(
        "--pictures", metavar="DIR", help="write what can be seen of each face into a folder"
    )
    verify.add_argument("--overwrite", action="store_true", help="replace an existing report")
    verify.add_argument(
        "-d",
        "--detector",
        action="append",
        default=[],
        metavar="DETECTOR",
        help="search with this detector, too; may be repeated",
    )


def _convert(add: _Adder) -> None:
    formats = ("coco", "cvat", "voc", "datumaro", "davis", "mots", "labelstudio")
    convert = add("convert", "write masks for other tools, or their masks as a dataset")
    convert.add_argument("source", metavar="IN", help="a mask folder, or what another tool wrote")
    convert.add_argument("out", metavar="OUT", help="the folder to write; for --from a dataset")
    convert.add_argument("--to", choices=formats, metavar="FORMAT", help=", ".join(formats))
    convert.add_argument(
        "--from",
        dest="source_format",
        choices=formats,
        metavar="FORMAT",
        help="the same; makes a dataset for train",
    )
    convert.add_argument(
        "--map",
        type=values.pair,
        action="append",
        metavar="LABEL=CLASS",
        help="with --from: the class that a label of the other tool is; labels without a class are "
        "left out of training (255); may be repeated",
    )
    convert.add_argument("--images", metavar="DIR", help="with --from: where the pictures are")


def _measure(add: _Adder) -> None:
    measure = add("measure", "measure the faces of a mask dump, without the model")
    measure.add_argument("masks", metavar="MASKDIR", help="a folder that 'run -m' wrote")
    measure.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="a row a face a frame, as of 'run --stats'; .csv, .jsonl or .parquet",
    )
    measure.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def _events(add: _Adder) -> None:
    events = add("events", "find blinks, speech, turns and more in a file of 'run --stats'")
    events.add_argument("stats", metavar="STATS", help="a file of 'run --stats' or 'measure'")
    events.add_argument(
        "output", metavar="OUT", help="the file to write: .tsv for BIDS, .eaf for ELAN, or .json"
    )
    events.add_argument(
        "--eyes-closed",
        type=values.seconds,
        default=0.5,
        metavar="T",
        help="how long an eye is shut to be closed; shorter is a blink (default: %(default)s s)",
    )
    events.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def _doctor(add: _Adder) -> None:
    _json(add("doctor", "check this installation: packages, video, display, cameras, models"))


def _plot(add: _Adder) -> None:
    plot = add("plot", "plot the areas of regions over time")
    plot.add_argument("stats", metavar="STATS", nargs="+", help="files that 'run --stats' wrote")
    plot.add_argument("-o", "--output", required=True, metavar="PNG", help="the picture to write")
    plot.add_argument(
        "--regions",
        type=values.names,
        metavar="REGION[,REGION…]",
        help="which (default: the largest)",
    )
    plot.add_argument(
        "--person",
        type=values.positive_int,
        nargs="+",
        metavar="ID",
        help="only these faces (default: those that are seen longest)",
    )
    plot.add_argument(
        "--pixels", action="store_true", help="areas in pixels, not as a share of the face"
    )
    plot.add_argument("--overwrite", action="store_true", help="replace the picture if it exists")


def _report(add: _Adder) -> None:
    report = add("report", "sum up statistics in a page that anybody can open in a browser")
    report.add_argument("stats", metavar="STATS", nargs="+", help="files that 'run --stats' wrote")
    report.add_argument("-o", "--output", required=True, metavar="HTML", help="the page to write")
    report.add_argument(
        "--video",
        nargs="+",
        default=[],
        metavar="VIDEO",
        help="the recordings, one for each STATS, for a picture of each person",
    )
    report.add_argument("--overwrite", action="store_true", help="replace the page if it exists")


def _new_plugin(add: _Adder) -> None:
    new = add("new-plugin", "write a working plugin to start from, and its test")
    new.add_argument(
        "kind",
        metavar="KIND",
        choices=("source", "detector", "segmenter", "sink"),
        help="source, detector, segmenter or sink",
    )
    new.add_argument("name", metavar="NAME", help="what users will call it, such as my_detector")
    new.add_argument(
        "--package", action="store_true", help="write an installable package, not one file"
    )
    new.add_argument(
        "-o", "--output", default=".", metavar="DIR", help="where to write it (default: here)"
    )
    new.add_argument("--overwrite", action="store_true", help="replace what is there")


def _completion(add: _Adder) -> None:
    completion = add("completion", "print a script that completes commands in your shell")
    completion.add_argument(
        "shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish"
    )


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON, for programs")


def _components(command: argparse.ArgumentParser) -> None:
    for option in COMPONENTS:
        option.add_to(command)


def _segmenter(command: argparse.ArgumentParser) -> None:
    SEGMENTER.add_to(command)


# Starting and ending


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code, as the epilog above says.

    Raises:
        SystemExit: argparse ended it: help, version, or 2 for wrong usage.
    """
    args = parse_args(argv)
    from .commands.failures import describe_failure
    from .commands.terminal import log_on_stderr, sigterm_is_ctrl_c
    from .errors import clean_lines, clean_text

    try:
        with log_on_stderr(quiet=args.quiet, debug=args.debug), sigterm_is_ctrl_c():
            module = importlib.import_module(f"facereg.commands.{args.command.replace('-', '_')}")
            code = int(module.run(args))
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        return 130
    except Exception as e:
        if args.debug:
            print(clean_lines(traceback.format_exc()), file=sys.stderr)
        text, code = describe_failure(e)
        if isinstance(e, OSError) and not e.filename and not stdout_works():
            text = f"stdout: {e.strerror}"
        if isinstance(e, BrokenPipeError):
            return 1  # stdout's reader has left; a component's own pipe comes as a FaceregError
        print(f"facereg: error: {clean_text(text)}", file=sys.stderr)
        return code


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line, that of the process by default.

    Raises:
        SystemExit: argparse ended it, as `main` says.
    """
    prepare_streams()
    return _parse(get_parser(), sys.argv[1:] if argv is None else list(argv))


def _parse(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse a command line; what is wrong in it is said with the usage of its command."""
    args, unknown = parser.parse_known_args(argv)
    if args.command is None and unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if args.command is None:
        parser.print_help(sys.stderr)
        parser.exit(2)
    command = commands(parser)[args.command]
    if unknown:
        known = [flag for action in command._actions for flag in action.option_strings]
        close = difflib.get_close_matches(unknown[0].partition("=")[0], known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    args.parser = parser  # for the completion script, which is written from it
    args.argv = argv  # for the card of a trained model
    return args
