"""Spellings of a source's values that differ from the standard: local times, null markers, booleans as texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import pyarrow as pa
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tandem.schemas.definition.model_base import Model
from tandem.schemas.source.time_patterns import EPOCHS, ISO, check_time_format, time_pattern
from tandem.schemas.time.zones import load_zone

__all__ = [
    "SPELLING",
    "Booleans",
    "Spelling",
    "description_of",
    "relevant",
    "spelling_problems",
    "spellings_of",
    "with_spellings",
]

SPELLING: Final = "tandem.spelling"
"""The attribute of a field in `with_spellings`' schema that holds its options."""
_MOST_TEXTS: Final = 100
_LONGEST_TEXT: Final = 200
_OF_TIMES: Final = ("time_format", "zone", "ambiguous", "nonexistent")


def _text(value: object) -> object:
    """YAML's words and integers as the texts that stand for them."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value) if isinstance(value, int) else value


def _texts(value: object) -> object:
    """One text, or a list of them, as a tuple."""
    return tuple(map(_text, value)) if isinstance(value, (list, tuple)) else (_text(value),)


def _few(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(texts) <= _MOST_TEXTS:
        raise ValueError(f"{len(texts)} texts; allowed are 1 to {_MOST_TEXTS}")
    for text in texts:
        if len(text) > _LONGEST_TEXT:
            raise ValueError(f"a text of {len(text)} characters; at most {_LONGEST_TEXT}")
    return texts


def _zone(name: str) -> str:
    load_zone(name)
    return name


_LIST: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": ["string", "integer", "boolean", "null"]}}]
}
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts), AfterValidator(_few), WithJsonSchema(_LIST)]


class Booleans(Model):
    """Texts of booleans, in any case; true and false are always among them."""

    yes: Annotated[Texts, Field(alias="true")]
    """Texts that mean true."""
    no: Annotated[Texts, Field(alias="false")]
    """Texts that mean false."""

    @model_validator(mode="after")
    def _apart(self) -> Booleans:
        both = {text.lower() for text in self.yes} & {text.lower() for text in self.no}
        if both or "false" in map(str.lower, self.yes) or "true" in map(str.lower, self.no):
            found = min(both) if both else "true and false"
            raise ValueError(f"{found!r} can't mean both true and false" if both else f"{found} mean what they say")
        return self


class Spelling(Model):
    """How values are written; options that aren't set follow the standard."""

    time_format: Annotated[str | None, AfterValidator(lambda text: text and check_time_format(text))] = None
    """How times are written: iso (default), epoch_seconds, epoch_millis, epoch_micros, epoch_nanos, or a pattern such
    as '%d.%m.%Y %H:%M'."""
    zone: Annotated[str | None, AfterValidator(lambda name: name and _zone(name))] = None
    """The IANA name of the time zone of times without an offset."""
    ambiguous: Literal["reject", "earlier", "later"] | None = None
    """A local time that clocks show twice: a dead letter (default), or which of the two instants."""
    nonexistent: Literal["reject", "shift_forward"] | None = None
    """A local time that clocks skip: a dead letter (default), or the instant of the skip."""
    nulls: Texts | None = None
    """Texts that mean null, besides a CSV's empty value."""
    booleans: Booleans | None = None
    """Texts of booleans."""
    integers: Literal["digits", "exact"] | None = None
    """digits (default): integers are digits; exact: also 1.0, 1e3 and +7."""
    decimal: Literal[".", ","] | None = None
    """The decimal separator; with ',' dots may group thousands."""

    def said(self) -> dict[str, Any]:
        """The options that are set, as plain values."""
        dumped = self.model_dump(include=set(Spelling.model_fields), exclude_none=True)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in dumped.items()}


def relevant(kind: pa.DataType, *, own: bool) -> tuple[str, ...]:
    """The options that apply to a field of this type; `own`: those that are set for the field alone."""
    types = pa.types
    if types.is_timestamp(kind):
        return ("nulls", *(_OF_TIMES if kind.tz else _OF_TIMES[:1]))
    if types.is_date32(kind) and own:
        return "nulls", "time_format"
    if types.is_boolean(kind):
        return "nulls", "booleans"
    if types.is_integer(kind):
        return "nulls", "integers"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "nulls", "decimal"
    return ("nulls",)


def spellings_of(
    fields: Iterable[pa.Field], source: Spelling, single: Mapping[str, Spelling]
) -> dict[str, dict[str, Any]]:
    """The options of each field that has any, its own before the source's, as plain values."""
    found = {}
    for field in fields:
        own = single.get(field.name)
        options = {
            **{name: value for name, value in source.said().items() if name in relevant(field.type, own=False)},
            **(own.said() if own is not None else {}),
        }
        if pa.types.is_string(field.type) and not field.nullable:
            options.pop("nulls", None)  # any text is one
        if options:
            found[field.name] = options
    return found


def with_spellings(schema: Mapping[str, Any], spellings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The schema whose fields have the options that apply to them as their attribute SPELLING."""
    entries = [
        {**entry, SPELLING: dict(spellings[entry["name"]])} if spellings.get(entry["name"]) else entry
        for entry in schema["fields"]
    ]
    return {**schema, "fields": entries}


def spelling_problems(name: str, kind: pa.DataType, own: Spelling | None, whole: Mapping[str, Any]) -> Iterator[str]:
    """The mistakes in a field's options: `own` are those set for it alone, `whole` all that apply to it."""
    for option in own.said() if own is not None else ():
        if option not in relevant(kind, own=True):
            yield f"'{option}' says nothing of '{name}', which is {kind}"
            return
    form = whole.get("time_format", ISO)
    if form in (ISO, *EPOCHS):
        if pa.types.is_date32(kind) and form != ISO:
            yield f"'{name}' is a date; its time_format is {ISO} or a pattern such as '%d.%m.%Y'"
        return
    pattern = time_pattern(form)
    if pa.types.is_date32(kind) and pattern.groups & set("HIMSfpz"):
        yield f"'{name}' is a date, and {form!r} has a time of day"
    elif pa.types.is_timestamp(kind) and kind.tz and not pattern.has_offset and "zone" not in whole:
        yield f"'{name}' is a timestamp, and {form!r} has no %z; declare zone, such as UTC or Europe/Berlin"


def description_of(name: str, options: Mapping[str, Any]) -> str:
    """One line for people: how values of a field are expected to be written."""
    parts = []
    if "time_format" in options or "zone" in options:
        form = options.get("time_format", ISO)
        form = {ISO: "ISO 8601", **{one: f"{unit} since 1970" for one, unit in EPOCHS.items()}}.get(form, repr(form))
        parts.append(form + (f" in {options['zone']}" if "zone" in options else ""))
    if options.get("ambiguous", "reject") != "reject":
        parts.append(f"the {options['ambiguous']} one where clocks show it twice")
    if options.get("nonexistent") == "shift_forward":
        parts.append("shifted forward where clocks skip it")
    said = [", ".join(parts)] if parts else []
    if "booleans" in options:
        yes, no = (" ".join(options["booleans"][side]) for side in ("yes", "no"))
        said.append(f"true is also {yes}, false {no}")
    if options.get("integers") == "exact":
        said.append("whole numbers also as 1.0 and 1e3")
    if options.get("decimal") == ",":
        said.append("a comma before decimals")
    if "nulls" in options:
        are = "is" if len(options["nulls"]) == 1 else "are"
        said.append(f"{', '.join(map(repr, options['nulls']))} {are} null")
    return f"{name}: {'; '.join(said)}"
