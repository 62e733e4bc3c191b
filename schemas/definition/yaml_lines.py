"""A small, safe reader of YAML that knows the line of every field.

It reads the part of YAML 1.2 that a definition needs: mappings with text keys, lists, texts, numbers, true, false,
null. Unlike in YAML 1.1, `no`, `on`, `12:30` and `2013-01-01` are texts. Aliases, tags, more than one document,
duplicate keys, deep nesting and large files are errors.

A store keeps definitions as JSON, which is YAML, too: it is read as what it is, in a hundredth of the time, unless
the two differ in what they make of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tandem.schemas.definition.paths import Path, field_text
from tandem.schemas.definition.plain_json import plain_json
from tandem.schemas.errors import DefinitionError

__all__ = ["MAX_BYTES", "Document", "Path", "field_text", "read"]

MAX_BYTES: Final = 1_000_000


@dataclass(frozen=True)
class Document:
    """The content of a YAML file, with line numbers."""

    value: dict[str, Any]
    file: str | None
    text: str

    @cached_property
    def lines(self) -> dict[Path, int]:
        """The line of each field and list item, counted from 1."""
        from tandem.schemas.definition.yaml_tree import tree_of

        return tree_of(self.text, self.file)[1]

    def line(self, path: Path) -> int:
        """The line of the field, or of the nearest field around it that the file holds, else 1."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str, file: str | None = None) -> Document:
    """Read one document whose top level is a mapping. Raises DefinitionError with `file` and line."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise DefinitionError(f"more than {MAX_BYTES:,} bytes; a definition is a short text", file=file)
    value = plain_json(text)
    if value is None:
        from tandem.schemas.definition.yaml_tree import tree_of

        value, lines = tree_of(text, file)
        document = Document(value, file, text)
        document.__dict__["lines"] = lines
        return document
    return Document(value, file, text)
