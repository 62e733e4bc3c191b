"""Every `tandem ...` that a message, a help text or a docstring of the product names is a command that there is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from typer.core import TyperGroup

from tandem.app import app
from tandem.command_list.commands import COMMANDS
from tandem.command_list.entry import Flags
from tandem.runners.options.flags.table import flags_of

ROOT: Final = Path(__file__).parents[2]
FLOORS: Final = (
    *("tandem", "serving", "verification", "pipelines", "runners", "transforms", "views", "journal", "formats"),
    *("schemas", "storage", "emulator"),
)
NAMED: Final = re.compile(r"`tandem ([^`]+)`")
ANY: Final = "NAME"
"""What stands for the name of any command, also where a text puts it in."""


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else ANY for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named_in_the_product() -> dict[str, str]:
    """By command line a place that names it."""
    found: dict[str, str] = {}
    files = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    for path in files:
        if path.resolve() == path.absolute():
            for text in texts(ast.parse(path.read_text(encoding="utf-8"))):
                for line in NAMED.findall(text):
                    found.setdefault(" ".join(line.split()), str(path.relative_to(ROOT)))
    return found


def wrong_with(line: str) -> str | None:
    """What no command line has, if anything."""
    words = line.split()
    if words[0] in (ANY, "ARGUMENTS"):
        return None
    command: Any = typer.main.get_command(app)
    path = list[str]()
    while isinstance(command, TyperGroup) and words:
        if path and words[0].startswith("-"):
            break
        names = words.pop(0).split("|")
        unknown = [name for name in names if name not in command.commands]
        if unknown:
            return f"tandem {' '.join(path)}: no command {unknown[0]}"
        path.append(names[0])
        command = command.commands[names[0]]
    known = {"--help", "--traceback", *(option for each in command.params for option in each.opts)}
    if (entry := next((each for each in COMMANDS if [each.name] == path), None)) and entry.flags is Flags.PIPELINE:
        known |= {f"--{flag.name.replace('_', '-')}" for flag in flags_of(path[0])} | {"--runner"}
    unknown = [word for word in words if word.startswith("--") and word not in known]
    return f"tandem {' '.join(path)}: no flag {unknown[0]}" if unknown else None


@pytest.mark.parametrize(
    ("line", "place"), [pytest.param(*item, id=item[0]) for item in named_in_the_product().items()]
)
def test_what_is_named_is_there(line: str, place: str) -> None:
    assert wrong_with(line) is None, place


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("keys clicks", "no command clicks", id="a name where a command is meant"),
        pytest.param("reconcille", "no command reconcille", id="misspelt"),
        pytest.param("status clicks --jsn", "no flag --jsn", id="a flag"),
        pytest.param("backfill --fils", "no flag --fils", id="a pipeline's flag"),
    ],
)
def test_what_is_not_there_is_seen(line: str, problem: str) -> None:
    assert str(wrong_with(line)).endswith(problem)
