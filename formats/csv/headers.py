"""Reads the header row of a CSV file: its names, and the needed fields among them."""

from __future__ import annotations

from typing import Final

from tandem.formats.avro.resolution import is_left_out
from tandem.formats.avro.types import SourceField
from tandem.formats.csv.dialect import Dialect
from tandem.formats.source_spec import TextSpec
from tandem.formats.text.streams import BOM
from tandem.schemas.errors import SchemaError, SourceFileError
from tandem.schemas.source.field_paths import path_text

__all__ = ["HEAD", "column_of", "found_in", "names_in"]

HEAD: Final = 1 << 20
"""Bytes within which the header row must end."""


def column_of(wanted: SourceField) -> str:
    """The name of a field's column."""
    return path_text(wanted.path)


def found_in(
    path: str, names: list[str], needed: tuple[SourceField, ...]
) -> tuple[list[SourceField], list[SourceField]]:
    """(needed fields in the file, needed fields that may be missing). Raises SchemaError for other missing ones."""
    found, absent = list[SourceField](), list[SourceField]()
    for wanted in needed:
        count = names.count(column_of(wanted))
        if count == 0 and is_left_out(wanted):
            absent.append(wanted)
        elif count == 1:
            found.append(wanted)
        else:
            problem = "more than one column" if count else "no column"
            header = f"the header has {', '.join(names)}{_other_delimiter(names)}"
            raise SchemaError(f"{path}: {problem} '{column_of(wanted)}'; {header}")
    return found, absent


def _other_delimiter(names: list[str]) -> str:
    """A hint for a header that looks as if it had another delimiter."""
    likely = next((sign for sign in (";", "\t", "|", ",") if len(names) == 1 and sign in names[0]), None)
    if likely is None:
        return ""
    shown = "tab" if likely == "\t" else f'"{likely}"'
    return f"; if the values are separated by another sign, write `csv: {{delimiter: {shown}}}` into the source"


def names_in(head: bytes, path: str, source: TextSpec, dialect: Dialect) -> tuple[list[str], int]:
    """The columns' names, and the start of the first row."""
    at = len(BOM) if head.startswith(BOM) else 0
    if source.csv.header is False:
        return [entry["name"] for entry in source.avro_schema["fields"]], at
    if source.csv.header is not True:
        return list(source.csv.header), at
    while dialect.comment and head.startswith(dialect.comment, at):
        at = head.find(b"\n", at) + 1 or len(head)
    found = dialect.record(head, at, final=len(head) < HEAD)
    if found is None and b"\r" in head and b"\n" not in head:
        raise SourceFileError(f"{path}: its lines end with CR alone, as on old Macs; write it anew with LF or CR LF")
    if found is None:
        raise SourceFileError(
            f"{path}: no header row of names separated by {_shown(dialect.delimiter)} at its start; "
            "for a file without one write `csv: {header: false}` into the definition's source, or the names"
        )
    names = [value.decode("utf-8", "replace").strip() for value in found[0]]
    if not any(names):
        raise SourceFileError(f"{path}: the header row is empty; the first row must name the columns")
    return names, found[1]


def _shown(delimiter: bytes) -> str:
    return {b",": "commas", b"\t": "tabs", b";": "semicolons"}.get(delimiter, repr(delimiter.decode()))
