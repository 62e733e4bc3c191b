"""The models of a definition. Build one with `load` or `loads` of `definition.loading`, which check all of it."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from tandem.schemas.avro.types import arrow_schema
from tandem.schemas.columns import RESERVED_PREFIX
from tandem.schemas.definition.model_base import Duration, Model
from tandem.schemas.result_windows.models import Result
from tandem.schemas.rules.models import Rule
from tandem.schemas.source.field_paths import MAX_PARTS, FieldPath, path_of, with_paths
from tandem.schemas.source.spellings import Spelling, spellings_of
from tandem.schemas.source.text_options import CsvOptions, Encoding
from tandem.schemas.time.durations import DAY, SECOND
from tandem.schemas.time.windows import AnyWindow, SessionWindow, Window

__all__ = ["Definition", "Name", "Source", "Window"]

_MOST_COLUMNS: Final = 16
_MOST_FIELDS: Final = 100
_MOST_REVISIONS: Final = 1_000
_REVISION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}", re.ASCII)


def _name(pattern: str, allowed: str) -> AfterValidator:
    expression = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not expression.fullmatch(text):
            raise ValueError(f"{text[:80]!r} is not a name; allowed are {allowed}")
        return text

    return AfterValidator(check)


def _listed(value: object) -> object:
    """One field name, or a list of them, as a tuple."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _columns(least: int) -> AfterValidator:
    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        if not least <= len(names) <= _MOST_COLUMNS:
            raise ValueError(f"{len(names)} fields; allowed are {least} to {_MOST_COLUMNS}")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"'{name}' twice; write each field once")
        return names

    return AfterValidator(check)


def _few(values: dict[str, Any]) -> dict[str, Any]:
    if len(values) > _MOST_FIELDS:
        raise ValueError(f"{len(values)} entries; at most {_MOST_FIELDS}")
    return values


def _revisions(schemas: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    if len(schemas) > _MOST_REVISIONS:
        raise ValueError(f"{len(schemas):,} revisions; at most {_MOST_REVISIONS:,}")
    for revision in schemas:
        if not _REVISION.fullmatch(revision):
            raise ValueError(f"{revision[:80]!r} is not a revision id; Pub/Sub's are 8 hexadecimal digits")
    return schemas


_LATER: Final = ("default_revision", "fields", "csv", "encoding", "partitions")
_NAME_PATTERN: Final = "[a-z][a-z0-9_]{0,62}"
_DEFINITION_PATTERN: Final = "[a-z][a-z0-9_-]{0,62}"
_DERIVED_PATTERN: Final = f"(?!{RESERVED_PREFIX})[A-Za-z_][A-Za-z0-9_]{{0,62}}"

_COLUMN_LIST: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": _MOST_COLUMNS}]
}
DefinitionName = Annotated[
    str,
    _name(_DEFINITION_PATTERN, "a lower-case letter, then up to 62 of a-z, 0-9, _ and -"),
    WithJsonSchema({"type": "string", "pattern": f"^{_DEFINITION_PATTERN}$"}),
]
Name = Annotated[
    str,
    _name(_NAME_PATTERN, "a lower-case letter, then up to 62 of a-z, 0-9 and _"),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME_PATTERN}$"}),
]
DerivedName = Annotated[
    str,
    _name(_DERIVED_PATTERN, f"letters, digits and _, not starting with a digit or {RESERVED_PREFIX}"),
    WithJsonSchema({"type": "string", "pattern": f"^{_DERIVED_PATTERN}$"}),
]
_PATH: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": MAX_PARTS},
    ]
}
Path = Annotated[FieldPath, BeforeValidator(path_of), WithJsonSchema(_PATH)]
MeasureSpec = Annotated[Any, WithJsonSchema({"anyOf": [{"const": "count"}, {"type": "object", "minProperties": 1}]})]


class Source(Spelling):
    """Where events come from: their encoding, and the fields of their id and time."""

    avro_schema: Annotated[
        dict[str, Any],
        Field(alias="schema"),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]}),
    ]
    """The Avro schema: the path of an .avsc file, relative to the definition, or the schema itself."""
    format: Literal["avro", "json"]
    """How messages are encoded; a file's format follows from its suffix."""
    event_id: Annotated[tuple[str, ...], BeforeValidator(_listed), _columns(1), WithJsonSchema(_COLUMN_LIST)]
    """The field, or fields, that together identify an event."""
    event_time: str
    """The field of the event time, of logical type timestamp-millis or timestamp-micros."""
    out_of_orderness: Duration = 0
    """How far event times may be out of order; the watermark stays that far behind the latest event time."""
    max_ahead: Duration | None = DAY
    """Events whose time is further ahead of their publish time (in files: of the start of reading) become dead letters;
    null: no limit."""
    revisions: Annotated[
        dict[str, dict[str, Any]],
        AfterValidator(_revisions),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "maxProperties": _MOST_REVISIONS}]}),
    ] = Field(default_factory=dict)
    """Writers' schemas by the revision id in messages' attributes: a folder of files named REVISION.avsc, or a mapping
    of revision ids to .avsc files. Adding one changes no version."""

    default_revision: str | None = None
    """The revision of `revisions` for messages whose attributes name none; null: the schema itself."""
    fields: Annotated[dict[DerivedName, Path], AfterValidator(_few)] = Field(default_factory=dict)
    """Fields by their path in a record, such as `user_id: user.id`, or from a name that no schema can have, such as
    `amount: "Order Amount"`."""
    values: Annotated[dict[str, Spelling], AfterValidator(_few)] = Field(default_factory=dict)
    """How values of single fields are written, where it differs from the source's options."""

    @cached_property
    def spellings(self) -> dict[str, dict[str, Any]]:
        """The options of each field that has any, as plain values."""
        return spellings_of(arrow_schema(self.fields_schema), self, self.values)

    csv: CsvOptions = Field(default_factory=CsvOptions)
    """Options of CSV files that differ from RFC 4180."""
    encoding: Encoding = "utf-8"
    """The encoding of CSV and JSON files; files that start with a byte order mark of UTF-8 are UTF-8 anyway."""
    partitions: Literal["hive"] | None = None
    """hive: a folder named NAME=VALUE gives the field of this name its value in all files below it."""

    @field_validator("default_revision")
    @classmethod
    def _is_listed(cls, revision: str | None, others: ValidationInfo) -> str | None:
        listed = others.data.get("revisions", {})
        if revision is not None and revision not in listed:
            there = f"it lists {', '.join(sorted(listed)[:8])}" if listed else "it lists none"
            raise ValueError(f"{revision[:80]!r} is not one of source.revisions; {there}")
        return revision

    @cached_property
    def fields_schema(self) -> dict[str, Any]:
        """The schema whose top-level fields are all that a definition can use.

        These are the fields of `avro_schema`, and those that `fields` derives from nested ones. Raises SchemaError for
        a path that doesn't exist.
        """
        return with_paths(self.avro_schema, self.fields)

    @cached_property
    def version(self) -> str:
        """Content hash, 16 hex digits, of everything that decides how an event is decoded; sources of equal version
        share one read.

        Revisions aren't part of it: they only decide which messages can be read.
        """
        return _digest("source", self.content)

    @property
    def content(self) -> dict[str, Any]:
        """Everything that decoding depends on, as plain values; the schema without its documentation."""
        plain = self.model_dump(exclude={"avro_schema", "revisions", "values", *Spelling.model_fields, *_LATER})
        schema = _without_docs(self.avro_schema)
        # Fields that came later are part of it only where they say something: older definitions keep their version.
        later = self.model_dump(include=set(_LATER), exclude_defaults=True) | {"spellings": self.spellings}
        return {**plain, **{name: value for name, value in later.items() if value}, "schema": schema}


class Definition(Model):
    """A definition: a source, a key, tiles, measures and windows. Durations are microseconds."""

    name: DefinitionName
    """The name of the view that answers are read from."""
    source: Source
    where: str | None = None
    """A boolean expression over the source's fields; events for which it is false or NULL are filtered."""
    derive: Annotated[dict[DerivedName, str], AfterValidator(_few)] = Field(default_factory=dict)
    """New fields, each an expression over the source's fields and the derived ones above it."""
    key: Annotated[tuple[str, ...], BeforeValidator(_listed), _columns(0), WithJsonSchema(_COLUMN_LIST)]
    """Fields to group by, [] for all events under one key."""
    tile: Duration
    """The smallest granule of event time, aligned to 1970-01-01 UTC: 1s to 1d, a divisor of a day."""
    lateness: Duration = 0
    """How long after the watermark passes a tile's end live still accepts its events; later ones wait for batch."""
    freshness: Duration = SECOND
    """How often live answers are updated, by the wall clock."""
    deduplicate: bool = True
    """Whether copies of an event, of equal id, time and content, count once."""
    measures: Annotated[dict[Name, MeasureSpec], AfterValidator(_few)]
    """The aggregates computed for each tile and key."""
    derive_results: Annotated[dict[Name, str], AfterValidator(_few)] = Field(default_factory=dict)
    """Results computed from results when an answer is read: each an expression over the measures and the derived
    results above it. Division by zero gives null. Not part of states, nor of the version."""
    windows: Annotated[dict[Name, AnyWindow], AfterValidator(_few)] = Field(default_factory=dict)
    """Windows by name, merged from tiles when an answer is read."""
    results: Annotated[dict[Name, Result], AfterValidator(_few)] = Field(default_factory=dict)
    """Results that are sent: windows with triggers, and their outputs."""

    rules: Annotated[dict[Name, Rule], AfterValidator(_few)] = Field(default_factory=dict)
    """Alerting rules: expressions over results of windows and over baselines, or the path of a file with `rules: {NAME:
    ...}`. Not part of the version."""

    @property
    def keeps_sessions(self) -> bool:
        """Whether tiles keep the times of their first and last event: a window, or a result's window, is a session."""
        windows = [*self.windows.values(), *(result.window for result in self.results.values())]
        return any(isinstance(window, SessionWindow) for window in windows)

    @cached_property
    def version(self) -> str:
        """Content hash, 16 hex digits, of everything that answers depend on.

        That is the source with its full Avro schema (without documentation), where, derive, key, tile, lateness,
        deduplicate and measures (derive and measures in their order), and whether there is a session window; not the
        name, freshness, derived results, other windows, results and rules.
        """
        content = {
            **self.model_dump(include={"where", "key", "tile", "lateness", "deduplicate"}),
            "source": self.source.content,
            "derive": list(self.derive.items()),
            "measures": list(self.measures.items()),
        }
        if self.keeps_sessions:
            content["sessions"] = True
        return _digest("definition", content)

    def __hash__(self) -> int:
        return hash((self.name, self.version))


def _without_docs(schema: Any) -> Any:
    if isinstance(schema, dict):
        kept = {name: value for name, value in schema.items() if name != "doc"}
        return {name: value if name == "default" else _without_docs(value) for name, value in kept.items()}
    return [_without_docs(item) for item in schema] if isinstance(schema, list) else schema


def _digest(kind: str, content: dict[str, Any]) -> str:
    text = json.dumps([f"tandem {kind} 1", content], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
