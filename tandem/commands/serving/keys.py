"""`tandem keys`: API keys for clients of `tandem serve`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.pipelines.console.printing import console, print_json, say
from tandem.places import HomeOption
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.serving.security.api_keys import KeyFile

__all__ = ["create_key", "list_keys", "revoke_key"]


def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="for people: who or what it is for")],
    role: Annotated[str, typer.Option(metavar="viewer|operator", help="what it may do")] = "viewer",
    definitions: Annotated[
        list[str] | None, typer.Option("--definition", metavar="NAME", help="only this one; repeatable (default: all)")
    ] = None,
    rows: Annotated[
        list[str] | None,
        typer.Option("--rows", metavar="NAME=VALUE,...", help="of this definition only keys that begin so; repeatable"),
    ] = None,
    expires: Annotated[str | None, typer.Option(metavar="DURATION", help="after which it opens nothing more")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    home: HomeOption = "tandem-data",
) -> None:
    """Make an API key, and show it: this once, since only its hash is kept."""
    from tandem.schemas.definition.suggestions import suggestion
    from tandem.schemas.privacy.printable import UNSAFE
    from tandem.serving.questions.answers.shown_times import short_time
    from tandem.serving.questions.selection.spans import duration_of
    from tandem.serving.security.api_keys import new_key
    from tandem.serving.security.principals import Role
    from tandem.serving.security.row_filters import parse_rows

    if role not in list(Role):
        raise UserError(f"--role {role}: {suggestion(role, list(Role))}")
    if not name.strip() or UNSAFE.search(name):
        raise UserError(f"NAME {name!r}: a name for people is wanted, without control characters")
    now = _now()
    until = now + duration_of(expires, "--expires") if expires is not None else None
    chosen = frozenset(definitions) if definitions else None
    made, key = new_key(
        name, Role(role), definitions=chosen, rows=parse_rows(rows or ()), now=now, expires_at=until
    )  # fmt: skip
    _key_file(home).add(made)
    if as_json:
        print_json({"id": made.id, "key": key, "expires_at": short_time(until) if until is not None else None})
        return
    say(f"{key}")
    say(f"API key {made.id} of {name}: keep it now, it is shown this once", err=True)


def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="a JSON array of objects")] = False,
    home: HomeOption = "tandem-data",
) -> None:
    """List the API keys, without their secrets."""
    from tandem.pipelines.console.tables import Column, print_table
    from tandem.serving.questions.answers.shown_times import short_time

    now = _now()
    rows = [
        {
            "id": key.id,
            "name": key.name,
            "role": key.role.value,
            "state": "valid" if key.valid_at(now) else "revoked" if key.revoked_at is not None else "expired",
            "definitions": sorted(key.definitions) if key.definitions is not None else None,
            "rows": key.rows.to_data(),
            "created_at": short_time(key.created_at, seconds=True),
            "expires_at": short_time(key.expires_at, seconds=True) if key.expires_at is not None else None,
        }
        for key in _key_file(home).entries()
    ]
    if as_json:
        print_json(rows)
    elif rows:
        names = ("id", "name", "role", "state", "definitions", "rows", "created_at", "expires_at")
        columns = [Column(name.replace("_", " "), keep=name in ("id", "name", "state")) for name in names]
        print_table(console(), columns, ([_cell(row[name]) for name in names] for row in rows))
    else:
        say("no API keys; `tandem keys create NAME` makes one")


def revoke_key(
    number: Annotated[str, typer.Argument(metavar="ID", help="as `tandem keys list` shows it")],
    home: HomeOption = "tandem-data",
) -> None:
    """Take an API key's power from it, at once and for good."""
    revoked = _key_file(home).revoke(number, _now())
    say(f"API key {revoked.id} of {revoked.name} opens nothing any more")


def _key_file(home: str) -> KeyFile:
    from tandem.serving.security.api_keys import KeyFile

    if "://" in home:
        raise UserError(f"--home {home}: API keys need a folder of this machine")
    return KeyFile(Path(home).absolute() / "keys.json")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return "; ".join(f"{name}={prefix}" for name, prefixes in value.items() for prefix in prefixes) or "all"
    return str(value)


def _now() -> int:
    return time.time_ns() // 1000
