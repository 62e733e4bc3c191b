"""The key columns of earlier versions: their revisions are withdrawn under those names."""

from __future__ import annotations

import json
from typing import Final

import sqlalchemy as sa

from tandem.schemas.definition import yaml_lines
from tandem.views.storage.tables import definitions

__all__ = ["key_columns"]

_UNNAMED: Final = "key_{}"


def key_columns(connection: sa.Connection, name: str, key: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a stored key's values: `columns`, or those of the newest version whose keys have as many."""
    count = len(json.loads(key))
    if count == len(columns):
        return columns
    d = definitions.c
    for text in connection.execute(sa.select(d.text).where(d.name == name).order_by(d.id.desc())).scalars():
        named = yaml_lines.read(text, None).value.get("key") if text else None
        if isinstance(named, list) and len(named) == count:
            return tuple(str(column) for column in named)
    return tuple(_UNNAMED.format(number) for number in range(1, count + 1))
