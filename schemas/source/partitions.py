"""Values from names of folders: `country=DE/day=2026-01-05/`, as Hive, Spark and others partition files."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

__all__ = ["partition_values"]

_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"


def partition_values(path: str) -> dict[str, str | None]:
    """Name -> value of the path's folders named `NAME=VALUE`, both percent-decoded; None for Hive's mark of null.

    The last of several folders of one name counts. A percent sign that encodes nothing stands for itself.
    """
    found: dict[str, str | None] = {}
    for folder in path.split("/")[:-1]:
        name, equals, value = folder.partition("=")
        if name and equals:
            found[unquote(name)] = None if value == _NO_VALUE else unquote(value)
    return found
