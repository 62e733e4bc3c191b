"""What the models of a definition share: how strict they are, and durations."""

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
"""Microseconds, written as in tandem.schemas.time.durations."""


class Model(BaseModel):
    """A part of a definition: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def fields_of_one(value: object, kinds: Sequence[str], expected: str) -> tuple[dict[str, Any], str]:
    """The fields of a place that something is sent to, and which of the kinds it is; `log` alone stands for its field.

    Raises ValueError, with what was expected, for none of the kinds or several.
    """
    fields = {"log": True} if value == "log" else value if isinstance(value, dict) else {}
    found = [kind for kind in kinds if fields.get(kind) is not None]
    if len(found) != 1:
        raise ValueError(f"{expected}; found {' and '.join(found) or 'none of them'}")
    return fields, found[0]
