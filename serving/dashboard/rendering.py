"""Templates, and the formats of numbers and times in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tandem.serving.questions.answers.json_values import json_value
from tandem.serving.questions.answers.shown_times import ago_text, short_time

__all__ = ["HTML", "count_text", "render"]

HTML: Final = "text/html; charset=utf-8"


def render(template: str, **values: Any) -> str:
    """Render a page; every value is escaped."""
    return str(_environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("tandem.serving.dashboard", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        {"count": count_text, "value": value_text, "time": _time, "ago": ago_text, "data": _data, "query": _query}
    )
    return made


def count_text(number: int) -> str:
    """A number with separators."""
    return f"{number:,}"


def value_text(value: Any) -> str:
    """A result: numbers with separators and few digits, nothing as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    plain = json_value(value)
    if isinstance(plain, float):
        return f"{plain:,.2f}" if abs(plain) >= 0.01 or plain == 0 else f"{plain:.3g}"
    if isinstance(plain, list | dict):
        return json.dumps(plain, ensure_ascii=False)
    return str(plain)


def _time(time: int | None) -> str:
    """`2026-01-05 09:30:00`, UTC."""
    return short_time(time, seconds=True).replace("T", " ").removesuffix("Z")


def _data(value: Any) -> Markup:
    """JSON for a `<script type="application/json">`: no part of it can end the element."""
    text = json.dumps(value, ensure_ascii=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _query(values: Mapping[str, Any]) -> str:
    """The query of a link; empty values are left out."""
    return urlencode({name: value for name, value in values.items() if value not in (None, "")})
