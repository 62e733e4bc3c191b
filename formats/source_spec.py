"""What this package needs to know about a source; the definition's source has these attributes and more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from tandem.schemas.source.text_options import CsvOptions

__all__ = ["PLAIN", "SourceSpec", "TextSpec"]


class TextSpec(Protocol):
    """The part of a definition's source that says how text files are cut into records."""

    @property
    def avro_schema(self) -> dict[str, Any]:
        """A parsed Avro record schema that `tandem.schemas.avro.types.check_schema` let pass."""

    @property
    def csv(self) -> CsvOptions:
        """How CSV files are written."""

    @property
    def encoding(self) -> str:
        """Of text files."""


@dataclass(frozen=True)
class _Plain:
    """UTF-8, CSV with a header as RFC 4180 has it."""

    avro_schema: dict[str, Any] = field(default_factory=dict)
    csv: CsvOptions = field(default_factory=CsvOptions)
    encoding: str = "utf-8"


PLAIN: Final = _Plain()


class SourceSpec(TextSpec, Protocol):
    """The part of a definition's source that says how its records are read and judged."""

    @property
    def format(self) -> Literal["avro", "json"]:
        """How messages are encoded; files say theirs by their ending."""

    @property
    def fields(self) -> Mapping[str, tuple[str, ...]]:
        """Fields that have a path of their own, as `tandem.schemas.source.field_paths.with_paths` takes them."""

    @property
    def spellings(self) -> Mapping[str, Mapping[str, Any]]:
        """By field the options that say how its values are written, as `tandem.schemas.source.spellings` has them."""

    @property
    def revisions(self) -> Mapping[str, dict[str, Any]]:
        """Schemas that messages were written with, vetted and readable with `avro_schema`, by revision id."""

    @property
    def default_revision(self) -> str | None:
        """The revision of messages that name none; None: they were written with `avro_schema`."""

    @property
    def event_id(self) -> tuple[str, ...]:
        """Fields that make the event id, at least one."""

    @property
    def event_time(self) -> str:
        """Field of the event time: a timestamp, or a plain long in microseconds since 1970-01-01 UTC."""

    @property
    def max_ahead(self) -> int | None:
        """How far an event time may lie after its publish time, in microseconds; None: any distance."""

    @property
    def partitions(self) -> Literal["hive"] | None:
        """Whether folders named NAME=VALUE give the fields of these names their values."""
