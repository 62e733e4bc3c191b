"""The table of flags: complete, without contradictions, and the same for everybody who reads it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.formats.files.pieces import MAX_PIECE_MEMORY
from tandem.pipelines.launchables import LAUNCHABLES
from tandem.runners.options.beam import TandemOptions, known_flags
from tandem.runners.options.flags.commands import COMMANDS
from tandem.runners.options.flags.flag import Command, Flag
from tandem.runners.options.flags.table import FLAGS, flags_of
from tandem.runners.options.reading import read_arguments
from tandem.runners.options.values import MOST_SHARDS
from tandem.schemas.buckets import BUCKETS


def rows(flags: Iterable[Flag]) -> list[Any]:
    return [pytest.param(flag, id=f"{flag.name}-of-{flag.takes[0]}") for flag in flags]


def test_it_is_read_without_beam() -> None:
    code = "import sys, tandem.runners.options.reading; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ("apache_beam", "pyarrow", "numpy", "typer", "sqlalchemy")
    found = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_every_pipeline_is_a_command_of_it() -> None:
    assert set(COMMANDS) == set(LAUNCHABLES)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_each_flag_once(command: str) -> None:
    names = [flag.name for flag in flags_of(command)]
    assert len(names) == len(set(names)) > 5


@pytest.mark.parametrize("flag", rows(FLAGS))
def test_a_row_says_what_goes_without_it(flag: Flag) -> None:
    assert set(flag.takes) <= set(COMMANDS)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", flag.name)
    assert flag.help
    assert not flag.help.endswith(".")
    assert flag.switch or flag.without
    assert not (flag.required and (flag.default or flag.otherwise))


@pytest.mark.parametrize("flag", rows(flag for flag in FLAGS if flag.default is not None))
def test_a_default_is_a_text_that_its_flag_takes(flag: Flag) -> None:
    default = flag.default or ""
    assert flag.read(default) is not None
    assert not flag.choices or default in flag.choices
    assert flag.pattern is None or re.fullmatch(flag.pattern, default)


def test_defaults_are_those_of_the_configs() -> None:
    assert read_arguments("backfill", [])["max_piece_memory"] == MAX_PIECE_MEMORY
    assert MOST_SHARDS == BUCKETS


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_an_example_is_a_command_line(command: Command) -> None:
    words = shlex.split(command.example)
    assert words[:2] == ["tandem", command.name]
    assert read_arguments(command.name, words[2:]).check_required().beam == ()
    for flag in flags_of(command.name):
        given = read_arguments(command.name, words[2:]).texts.get(flag.dest)
        assert flag.pattern is None or given is None or re.fullmatch(flag.pattern, given)


def test_beams_options_hold_each_flag_once() -> None:
    """A flag that Beam has as well, or two classes with one of ours, would raise here."""
    ours = [group for group in PipelineOptions.__subclasses__() if group.__module__.startswith("tandem")]
    assert ours == [TandemOptions]
    names = PipelineOptions([]).get_all_options().keys()
    secret = {flag.dest for flag in FLAGS if flag.secret}
    assert secret == {"store", "otlp_endpoint"}
    assert not secret & names
    assert {flag.dest for flag in FLAGS} - secret <= names
    assert not ({flag.dest for flag in FLAGS if not flag.of_beam} - {"dry_run"}) & known_flags()
