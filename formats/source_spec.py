"""The attributes of a source that this package needs; the definition's source has these and more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from tandem.schemas.source.text_options import CsvOptions

__all__ = ["PLAIN", "SourceSpec", "TextSpec"]


class TextSpec(Protocol):
    """The part of a definition's source that decides how text files are split into records."""

    @property
    def avro_schema(self) -> dict[str, Any]:
        """A parsed Avro record schema that has passed `tandem.schemas.avro.types.check_schema`."""

    @property
    def csv(self) -> CsvOptions:
        """Options of CSV files."""

    @property
    def encoding(self) -> str:
        """The encoding of text files."""


@dataclass(frozen=True)
class _Plain:
    """UTF-8, and CSV by RFC 4180 with a header."""

    avro_schema: dict[str, Any] = field(default_factory=dict)
    csv: CsvOptions = field(default_factory=CsvOptions)
    encoding: str = "utf-8"


PLAIN: Final = _Plain()


class SourceSpec(TextSpec, Protocol):
    """The part of a definition's source that decides how its records are read and checked."""

    @property
    def format(self) -> Literal["avro", "json"]:
        """The encoding of messages; a file's format follows from its suffix."""

    @property
    def fields(self) -> Mapping[str, tuple[str, ...]]:
        """Fields that have a path, in the form that `tandem.schemas.source.field_paths.with_paths` takes."""

    @property
    def spellings(self) -> Mapping[str, Mapping[str, Any]]:
        """The options of each field's spelling, in the form of `tandem.schemas.source.spellings`."""

    @property
    def revisions(self) -> Mapping[str, dict[str, Any]]:
        """Writers' schemas by revision id, checked and readable with `avro_schema`."""

    @property
    def default_revision(self) -> str | None:
        """The revision of messages that name none; None: they were written with `avro_schema`."""

    @property
    def event_id(self) -> tuple[str, ...]:
        """The fields of the event id, at least one."""

    @property
    def event_time(self) -> str:
        """The field of the event time: a timestamp, or a plain long in microseconds since 1970-01-01 UTC."""

    @property
    def max_ahead(self) -> int | None:
        """How far an event time may be after its publish time, in microseconds; None: no limit."""

    @property
    def partitions(self) -> Literal["hive"] | None:
        """Whether folders named NAME=VALUE set the fields of these names."""
