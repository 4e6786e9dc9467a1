"""The options of a run are described once: what is derived from that has them all."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
from contextlib import closing
from pathlib import Path

import pytest

import facereg
from facereg.batch.journal import Journal
from facereg.batch.plan import Job
from facereg.cli import get_parser
from facereg.commands import batch, options, run
from facereg.commands.options import RUN_OPTIONS, Option
from facereg.pipeline.settings import Settings

#: What each option may be given besides its default. A new option needs its line here.
SAMPLES: dict[str, list[str]] = {
    "plugin": ["--plugin=a.py", "--plugin=-b.py"],
    "detector": ["--detector=haar"],
    "segmenter": ["--segmenter=-odd:size=288"],
    "masks_format": ["--masks-format=npz"],
    "view": ["--view=blur:eyes+lips"],
    "codec": ["--codec=hevc"],
    "crf": ["--crf=23"],
    "max_faces": ["--max-faces=2"],
    "detect_every": ["--detect-every=3"],
    "look_back": ["--look-back=4"],
    "parse_every": ["--parse-every=2"],
    "hold": ["--hold=0.5"],
    "guard": ["--guard=none"],
    "start": ["--start=1:05.5"],
    "duration": ["--duration=90"],
    "smooth": ["--no-smooth"],
    "on_error": ["--on-error=skip"],
    "on_sink_error": ["--on-sink-error=drop"],
}

#: Arguments that only the command itself reads.
OWN = {"help", "source", "quiet", "debug", "json"}

#: Arguments of batch that are about the batch as a whole.
OWN_OF_BATCH = {
    "jobs",
    "retries",
    "retry_failed",
    "shard",
    "merge",
    "no_video",
    "on",
    "cpus_per_job",
    "scratch",
}


def parser_of(name: str) -> argparse.ArgumentParser:
    (commands,) = (a.choices for a in get_parser()._actions if a.dest == "command")
    return commands[name]


def names(parser: argparse.ArgumentParser) -> set[str]:
    return {action.dest for action in parser._actions}


def parse(*arguments: str) -> argparse.Namespace:
    return get_parser().parse_args(arguments)


def test_run_has_every_option() -> None:
    assert names(parser_of("run")) == {o.name for o in RUN_OPTIONS} | OWN


def test_batch_has_every_option_that_makes_sense_there() -> None:
    expected = {o.name for o in RUN_OPTIONS if o.batch != "no"} | OWN | OWN_OF_BATCH

    assert names(parser_of("batch")) == expected


def test_the_settings_of_the_pipeline_are_the_options_that_it_reads() -> None:
    by_the_run = {"provenance"}
    fields = {f.name: f.default for f in dataclasses.fields(Settings) if f.name not in by_the_run}
    settings = options.settings(parse("run", "in.mp4"))

    assert settings == fields
    assert Settings(**settings) == Settings()


def test_python_has_the_options_that_change_results() -> None:
    given = inspect.signature(facereg.process).parameters

    for option in RUN_OPTIONS:
        if option.reads in ("source", "segmenter", "components"):
            assert option.name.replace("plugin", "plugins") in given
    for name in ("detector", "segmenter"):
        assert given[name].default == getattr(parse("run", "in.mp4"), name)


@pytest.mark.parametrize("option", options.shared(), ids=lambda o: o.name)
def test_batch_hands_an_option_on_and_notes_it(option: Option, tmp_path: Path) -> None:
    plain = parse("batch", "in.mp4", "-o", "out")
    args = parse("batch", "in.mp4", "-o", "out", *SAMPLES[option.name])
    job = Job("in", tmp_path / "in.mp4", False, {"-o": tmp_path / "in.mp4"}, None)

    line = batch.run_arguments(job, None, args.segmenter, args)
    child = get_parser().parse_args(line)

    for other in options.shared():
        assert getattr(child, other.name) == getattr(args, other.name)
    assert getattr(child, option.name) != getattr(plain, option.name)

    (tmp_path / "in.mp4").touch()
    with closing(Journal(tmp_path, options.shared_values(plain))) as journal:
        journal.write(job, "done")
    for options_of, state in ((plain, "skipped"), (args, "failed")):
        again = Job("in", tmp_path / "in.mp4", False, job.outputs, None)
        with closing(Journal(tmp_path, options.shared_values(options_of))) as journal:
            journal.decide(again, overwrite=False)
        assert again.state == state


@pytest.mark.parametrize("option", RUN_OPTIONS, ids=lambda o: o.name)
def test_a_run_resumes_only_what_had_the_same_faces(option: Option) -> None:
    key = options.resume_key(parse("run", "in.mp4"))

    assert (option.name in key) == option.changes_faces
    if option.changes_faces:
        assert key != options.resume_key(parse("run", "in.mp4", *SAMPLES[option.name]))


def test_a_video_has_a_codec_and_a_quality_and_pictures_have_none() -> None:
    args = parse("run", "in.mp4", "-o", "out.mp4", "--crf", "23")

    assert run._encoding("mp4", args) == {"crf": 23}
    with pytest.raises(facereg.UsageError, match="for videos"):
        run._encoding("images", args)
