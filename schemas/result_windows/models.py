"""What `results:` of a definition says: which windows are sent, when, how, and where to."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tandem.schemas.definition.model_base import Duration, Model, fields_of_one
from tandem.schemas.time.durations import DURATION_PATTERN, parse_duration
from tandem.schemas.time.windows import AnyWindow, CalendarWindow, CumulativeWindow, SessionWindow

__all__ = ["Mode", "Output", "Outputs", "Result", "Trigger", "result_model"]

_TOPIC: Final = re.compile(r"projects/[^/\s]+/topics/[^/\s]+")
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
    """When a window's results are sent, beside on time, once the watermark has passed its end."""

    early: Duration | None = None
    """How often before the end, by the clock, if anything changed; without it never. Of sliding windows that overlap
    only the one that ends next is sent early."""
    late: Late = "each"
    """What changes after the end: `each` sends every change, a duration one of all changes in it, `never` waits for the
    final result."""


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
    """One place that results are sent to: `log`, `{files: PLACE}`, `{pubsub: TOPIC}` or `{bigquery: TABLE}`."""

    log: Literal[True] | None = None
    """Lines of JSON on standard output of the deliverer."""
    files: Annotated[str, AfterValidator(_place)] | None = None
    """A folder, by its path (relative to where the deliverer runs) or a file:// URL, or gs://BUCKET/PREFIX or
    s3://BUCKET/PREFIX. A file for each window and pass, which is created once and never changed."""
    pubsub: Annotated[str, AfterValidator(_topic)] | None = None
    """A topic, projects/PROJECT/topics/NAME; messages of one key and window have one ordering key."""
    bigquery: Annotated[str, AfterValidator(_table)] | None = None
    """A table, PROJECT.DATASET.TABLE, of this result alone: a row for each revision."""
    format: Literal["json", "avro", "parquet"] = "json"
    """How messages are written: `json` (of files JSON Lines); files also `avro` and `parquet`, topics also `avro`."""

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
        """`log`, `files PLACE`, `pubsub TOPIC`, `files-avro PLACE` and so on: by it the store knows what went where."""
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
    """Results of windows that are sent of their own accord, revision by revision."""

    window: AnyWindow
    """Fixed, sliding, of a calendar, or a session, written as in `windows`. A session changes the tiles, so it makes
    another version of a definition that had none."""
    trigger: Trigger = Field(default_factory=Trigger)
    """When, beside on time and final."""
    lateness: Duration | None = None
    """How long after a window's end its sources must have passed it for its result to be FINAL; what changes it later
    is CORRECTED. By default, and at least, that of the definition."""
    mode: Mode = "accumulating"
    """accumulating: each revision has the whole result. retracting: and the one that it replaces. discarding: what it
    adds to the one before, for counts and exact sums alone."""
    where: str | None = None
    """A boolean expression over measures and derived results. Only results for which it is true are sent; one that was
    sent and for which it no longer is is withdrawn."""
    to: Outputs
    """Where to: one output or a list of them."""
    keys: Annotated[int, Field(ge=1)] = 1_000
    """About how many keys there are: `check` refuses what would merge more states a second than one machine can."""

    @property
    def is_session(self) -> bool:
        """Whether its windows come from the events."""
        return isinstance(self.window, SessionWindow)

    def lateness_of(self, definition: int) -> int:
        """Microseconds that its windows wait after their end; `definition`: the definition's own lateness."""
        return definition if self.lateness is None else self.lateness

    @property
    def overlap(self) -> tuple[int, int] | None:
        """(size, every) of fixed and sliding windows; None for others."""
        if isinstance(self.window, SessionWindow | CalendarWindow | CumulativeWindow):
            return None
        return self.window.size, self.window.every


def result_model(path: tuple[Any, ...]) -> type[Model] | None:
    """The model that a place below `results.NAME` stands for, None where it is a window's."""
    if not path:
        return Result
    if path[0] == "trigger":
        return Trigger
    return Output if path[0] == "to" else None
