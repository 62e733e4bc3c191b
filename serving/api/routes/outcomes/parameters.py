"""The parameters of lists of alerts and results, and the bodies of operators' actions on them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Acknowledged",
    "AlertEventParameters",
    "AlertParameters",
    "AskedBacktest",
    "OneResultParameters",
    "ResultParameters",
    "WantedSilence",
]

_CONFIG = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
_Word = Annotated[str | None, Field(max_length=200)]
_Key = Annotated[
    str | None,
    Field(max_length=2_000, description="JFK,UA or origin=JFK,carrier=UA or a JSON array", examples=["home"]),
]
_Limit = Annotated[int, Field(ge=1, le=10_000)]


class AlertEventParameters(BaseModel):
    """Parameters of a stream of alerts."""

    model_config = _CONFIG

    rule: _Word = Field(default=None, description="of this rule only")
    key: _Key = None


class AlertParameters(AlertEventParameters):
    """Parameters of a list of alerts."""

    state: list[Annotated[str, Field(max_length=20)]] = Field(
        default=[], max_length=6, description="in this state; several may be given"
    )
    firing: bool = Field(default=False, description="only what goes on")
    start: _Word = Field(default=None, alias="from", description="that began at or after it, ISO 8601")
    end: _Word = Field(default=None, alias="to", description="that began before it")
    limit: _Limit = Field(default=100, description="the last ones, so many at most")


class ResultParameters(BaseModel):
    """Parameters of a list of results."""

    model_config = _CONFIG

    result: _Word = Field(default=None, description="of this one only")
    key: _Key = None
    start: _Word = Field(default=None, alias="from", description="windows that start at or after it, ISO 8601")
    end: _Word = Field(default=None, alias="to", description="windows that start before it")
    limit: _Limit = Field(default=100, description="the newest windows, so many at most")


class OneResultParameters(BaseModel):
    """Parameters of one window and key of a result."""

    model_config = _CONFIG

    at: Annotated[str, Field(max_length=100, description="when the window starts, ISO 8601")]
    key: _Key = None


class Acknowledged(BaseModel):
    """The note of an acknowledgement."""

    model_config = _CONFIG

    note: str = Field(default="", max_length=2_000, description="it is kept with the alert")


class WantedSilence(BaseModel):
    """A silence to begin, and its duration."""

    model_config = _CONFIG

    rule: _Word = Field(default=None, description="of this rule (default: of all)")
    key: _Key = None
    last: str = Field(alias="for", max_length=100, description="a duration, from now on", examples=["2h"])
    note: str = Field(min_length=1, max_length=2_000, description="why; it is kept with the silence")


class AskedBacktest(BaseModel):
    """A backtest of rules."""

    model_config = _CONFIG

    rules: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default=[], max_length=100, description="these only"
    )
    settings: dict[Annotated[str, Field(min_length=1, max_length=100)], Annotated[str, Field(max_length=100)]] = Field(
        default={}, max_length=50, description="parameters and fields of rules, as `--set` takes them"
    )
    sweep: _Word = Field(default=None, description="NAME=LOW:HIGH[:STEPS]: one number varied")
    complete_until: _Word = Field(default=None, description="windows that end by then are judged, ISO 8601")
