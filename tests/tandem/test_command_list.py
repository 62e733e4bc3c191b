"""The list of commands: each is what it says of it, takes its example, and is loaded only when it is called."""

from __future__ import annotations

import inspect
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from tandem.app import app
from tandem.command_list.commands import COMMANDS
from tandem.command_list.entry import Entry, Flags
from tandem.runners.options.reading import read_arguments

ROOT = Path(__file__).parents[2]


def leaves(entries: Sequence[Entry] = COMMANDS, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Entry]]:
    for entry in entries:
        path = (*above, entry.name)
        if entry.commands:
            yield from leaves(entry.commands, path)
        else:
            yield path, entry


LEAVES = [pytest.param(path, entry, id="-".join(path)) for path, entry in leaves()]


def loaded(path: Sequence[str]) -> Any:
    command: Any = typer.main.get_command(app)
    for name in path:
        assert isinstance(command, TyperGroup)
        command = command.commands[name]
    return command


@pytest.mark.parametrize(("path", "entry"), LEAVES)
def test_its_line_is_the_first_of_its_help(path: tuple[str, ...], entry: Entry) -> None:
    command = loaded(path)
    assert command.name == entry.name
    assert inspect.cleandoc(command.help).split("\n\n")[0].replace("\n", " ") == entry.line


@pytest.mark.parametrize(("path", "entry"), LEAVES)
def test_its_example_is_a_command_line(path: tuple[str, ...], entry: Entry) -> None:
    words = shlex.split(entry.example)
    assert words[: len(path) + 1] == ["tandem", *path]
    rest = words[len(path) + 1 :]
    if entry.flags is Flags.PIPELINE:
        assert read_arguments(entry.name, rest).check_required().beam == ()
    else:
        context = loaded(path).make_context(" ".join(path), rest)
        assert entry.flags is Flags.BEAM_TOO or not context.args


def test_names_differ() -> None:
    for entries in (COMMANDS, *(entry.commands for entry in COMMANDS if entry.commands)):
        assert len({entry.name for entry in entries}) == len(entries)


def test_help_imports_no_command() -> None:
    code = "import sys\nfrom tandem.app import app\nfrom typer.testing import CliRunner\n"
    code += "for words in ([], ['--help'], ['flink', '--help'], ['results', '--help']):\n"
    code += "    assert 'Usage: tandem' in CliRunner().invoke(app, words).stdout.replace('root', 'tandem')\n"
    code += "print([m for m in sys.modules if m.startswith('tandem.commands.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert found.stdout == "[]\n", found.stderr


@pytest.mark.parametrize("group", [entry.name for entry in COMMANDS if entry.commands])
def test_a_groups_help_lists_its_commands(group: str) -> None:
    from typer.testing import CliRunner

    shown = " ".join(CliRunner().invoke(app, [group, "--help"]).stdout.split())
    (entry,) = (entry for entry in COMMANDS if entry.name == group)
    assert entry.line in shown
    assert all(f"│ {each.name} " in shown for each in entry.commands)
