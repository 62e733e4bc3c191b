"""The base of a definition's models: strict, frozen, with durations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from tandem.schemas.time.durations import DURATION_PATTERN, parse_duration

__all__ = ["Duration", "Model", "fields_of_one"]

_DURATION: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": DURATION_PATTERN,
    "examples": ["500ms", "1h", "28d"],
}

Duration = Annotated[int, BeforeValidator(parse_duration), WithJsonSchema(_DURATION)]
"""Microseconds; in YAML a text as in `tandem.schemas.time.durations`."""


class Model(BaseModel):
    """A part of a definition: immutable, strictly typed, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def fields_of_one(value: object, kinds: Sequence[str], expected: str) -> tuple[dict[str, Any], str]:
    """(fields, kind) of an output or action, exactly one of `kinds`; the text `log` stands for `{log: true}`.

    Raises ValueError, with `expected` in its message, for none of the kinds or several.
    """
    fields = {"log": True} if value == "log" else value if isinstance(value, dict) else {}
    found = [kind for kind in kinds if fields.get(kind) is not None]
    if len(found) != 1:
        raise ValueError(f"{expected}; found {' and '.join(found) or 'none of them'}")
    return fields, found[0]
