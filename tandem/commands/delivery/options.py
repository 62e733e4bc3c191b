"""Options shared by `results` and `alerts`, and the printing of one object as lines of its fields."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import typer

from tandem.pipelines.console.printing import say

__all__ = ["JsonOption", "KeyOption", "key_text", "say_fields"]

KeyOption = Annotated[str | None, typer.Option(metavar="KEY", help="JFK,UA or origin=JFK,carrier=UA or a JSON array")]
JsonOption = Annotated[bool, typer.Option("--json", help="as JSON")]


def say_fields(data: Mapping[str, Any], without: Collection[str] = ()) -> None:
    """Print a line for each field; lists and objects as JSON."""
    for field, value in data.items():
        if field not in without:
            say(f"  {field}: {value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)}")


def key_text(key: str) -> str:
    """A canonical key for tables."""
    return ", ".join(str(value) for value in json.loads(key))
