"""What the models of a definition share: how strict they are, and durations."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from tandem.schemas.time.durations import DURATION_PATTERN, parse_duration

__all__ = ["Duration", "Model"]

_DURATION: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": DURATION_PATTERN,
    "examples": ["500ms", "1h", "28d"],
}

Duration = Annotated[int, BeforeValidator(parse_duration), WithJsonSchema(_DURATION)]
"""Microseconds, written as in tandem.schemas.time.durations."""


class Model(BaseModel):
    """A part of a definition: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)
