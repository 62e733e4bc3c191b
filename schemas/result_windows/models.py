"""The models of `results:`: which windows are sent, when, in which mode, and to which outputs."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tandem.schemas.definition.model_base import Duration, Model, fields_of_one
from tandem.schemas.pubsub_names import PART
from tandem.schemas.time.durations import DURATION_PATTERN, parse_duration
from tandem.schemas.time.windows import AnyWindow, CalendarWindow, CumulativeWindow, SessionWindow

__all__ = ["Mode", "Output", "Outputs", "Result", "Trigger", "result_model"]

_TOPIC: Final = re.compile(f"projects/{PART}/topics/{PART}")
_TABLE: Final = re.compile(r"[a-z][a-z0-9:.-]{4,61}[a-z0-9]\.[A-Za-z0-9_]{1,1024}\.[A-Za-z0-9_-]{1,1024}")
_KINDS: Final = ("log", "files", "pubsub", "bigquery")
_FORMS: Final = "log, files: PLACE, pubsub: TOPIC, bigquery: TABLE"
_FORMATS: Final = {
    "log": ("json",),
    "files": ("json", "avro", "parquet"),
    "pubsub": ("json", "avro"),
    "bigquery": ("json",),
}
_SCHEMES: Final = ("file", "gs", "s3")
_MOST_OUTPUTS: Final = 8

Mode = Literal["accumulating", "discarding", "retracting"]


def _late(value: object) -> object:
    return value if value in ("each", "never") else parse_duration(value)


Late = Annotated[
    int | Literal["each", "never"],
    BeforeValidator(_late),
    WithJsonSchema({"anyOf": [{"enum": ["each", "never"]}, {"type": "string", "pattern": DURATION_PATTERN}]}),
]


class Trigger(Model):
    """When a window's results are sent, besides on time, when the watermark passes its end."""

    early: Duration | None = None
    """How often they are sent before the window's end, by the wall clock, if anything changed; by default never. Of
    overlapping sliding windows only the one that ends next is sent early."""
    late: Late = "each"
    """What is sent after the end: `each` sends every change, a duration one revision for all changes within it, `never`
    waits for the final result."""


def _topic(name: str) -> str:
    if not _TOPIC.fullmatch(name):
        raise ValueError(f"{name[:120]!r} is not a topic; write projects/PROJECT/topics/NAME")
    return name


def _table(name: str) -> str:
    if not _TABLE.fullmatch(name):
        raise ValueError(f"{name[:120]!r} is not a table of BigQuery; write PROJECT.DATASET.TABLE")
    return name


def _place(text: str) -> str:
    scheme, is_url, rest = text.partition("://")
    if is_url and "@" in rest.partition("/")[0]:
        raise ValueError(f"{scheme}://***@...: no credentials in a URL; they come from the environment")
    if not text.strip() or (is_url and (scheme not in _SCHEMES or not rest.strip("/"))):
        raise ValueError(f"{text[:120]!r} is no place; write a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX")
    return text


class Output(Model):
    """One output of results: `log`, `{files: PLACE}`, `{pubsub: TOPIC}` or `{bigquery: TABLE}`."""

    log: Literal[True] | None = None
    """Lines of JSON on the deliverer's standard output."""
    files: Annotated[str, AfterValidator(_place)] | None = None
    """A folder, by its path (relative to the deliverer's working directory) or a file:// URL, or gs://BUCKET/PREFIX or
    s3://BUCKET/PREFIX. One file for each window and pass, which is created once and never changed."""
    pubsub: Annotated[str, AfterValidator(_topic)] | None = None
    """A topic, projects/PROJECT/topics/NAME; messages of one key and window share an ordering key."""
    bigquery: Annotated[str, AfterValidator(_table)] | None = None
    """A table, PROJECT.DATASET.TABLE, of this result alone: one row for each revision."""
    format: Literal["json", "avro", "parquet"] = "json"
    """How messages are encoded: `json` (in files JSON Lines); files also `avro` and `parquet`, topics also `avro`."""

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: object) -> object:
        fields, kind = fields_of_one(value, _KINDS, f"an output is one of {_FORMS}")
        form = fields.get("format", "json")
        if isinstance(form, str) and form not in _FORMATS[kind]:
            raise ValueError(f"{kind} as {form[:40]!r}; its formats are {', '.join(_FORMATS[kind])}")
        return fields

    @property
    def label(self) -> str:
        """`log`, `files PLACE`, `pubsub TOPIC`, `files-avro PLACE` and so on: the store's name of the output."""
        if self.log:
            return "log"
        kind, place = next((kind, place) for kind in _KINDS if (place := getattr(self, kind)) is not None)
        return f"{kind} {place}" if self.format == "json" else f"{kind}-{self.format} {place}"


def _outputs(value: object) -> object:
    return tuple(value) if isinstance(value, list) else (value,)


def _few(outputs: tuple[Output, ...]) -> tuple[Output, ...]:
    labels = [output.label for output in outputs]
    if not 1 <= len(outputs) <= _MOST_OUTPUTS:
        raise ValueError(f"{len(outputs)} outputs; allowed are 1 to {_MOST_OUTPUTS}")
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"'{label}' twice; write each output once")
    return outputs


Outputs = Annotated[tuple[Output, ...], BeforeValidator(_outputs), AfterValidator(_few)]
"""One output, or a list of them."""


class Result(Model):
    """A result that is sent: revisions of each window and key."""

    window: AnyWindow
    """Fixed, sliding, calendar or session, written as in `windows`. A session changes the tiles, so it makes another
    version of a definition without sessions."""
    trigger: Trigger = Field(default_factory=Trigger)
    """When results are sent, besides on time and final."""
    lateness: Duration | None = None
    """How far past a window's end its sources' watermarks must be for its result to be FINAL; later changes are
    CORRECTED. By default, and at least, the definition's."""
    mode: Mode = "accumulating"
    """accumulating: each revision has the whole result. retracting: and the one that it replaces. discarding: the
    difference to the one before, for counts and exact sums only."""
    where: str | None = None
    """A boolean expression over measures and derived results. Only results for which it is true are sent; a sent result
    for which it turns false is withdrawn."""
    to: Outputs
    """One output, or a list of them."""
    keys: Annotated[int, Field(ge=1)] = 1_000
    """The approximate number of keys: `check` rejects a result that would merge more states a second than one machine
    can."""

    @property
    def is_session(self) -> bool:
        """Whether its windows are sessions, which follow from the events."""
        return isinstance(self.window, SessionWindow)

    def lateness_of(self, definition: int) -> int:
        """Microseconds after their end at which its windows are settled; `definition`: the definition's own
        lateness.
        """
        return definition if self.lateness is None else self.lateness

    @property
    def overlap(self) -> tuple[int, int] | None:
        """(size, every) of fixed and sliding windows, None for others."""
        if isinstance(self.window, SessionWindow | CalendarWindow | CumulativeWindow):
            return None
        return self.window.size, self.window.every


def result_model(path: tuple[Any, ...]) -> type[Model] | None:
    """The model at a path below `results.NAME`, None for a window's."""
    if not path:
        return Result
    if path[0] == "trigger":
        return Trigger
    return Output if path[0] == "to" else None
