"""Functions of texts, dates and timestamps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tandem.schemas.expressions import kernels
from tandem.schemas.expressions.compiling import Compiling
from tandem.schemas.expressions.nodes import Datum, Node, apply
from tandem.schemas.expressions.parsing import shown
from tandem.schemas.expressions.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    LOCAL_TIMESTAMP,
    NULL,
    VARCHAR,
    is_timestamp,
)

__all__ = ["TEXT_AND_TIME"]

_DATE_PARTS: Final[dict[str, Callable[[Datum], Datum]]] = {
    "year": pc.year,
    "quarter": pc.quarter,
    "month": pc.month,
    "week": pc.iso_week,
    "day": pc.day,
    "dow": functools.partial(pc.day_of_week, count_from_zero=True, week_start=7),
    "doy": pc.day_of_year,
}
_TIME_PARTS: Final[dict[str, Callable[[Datum], Datum]]] = {
    "hour": pc.hour,
    "minute": pc.minute,
    "second": pc.second,
}
# Unicode's category Zs, as DuckDB trims: tabs and newlines stay
_SPACES: Final = " \u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_UNITS: Final = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")


def _like(compiler: Compiling, tree: exp.Expr) -> Node:
    name = "ILIKE" if isinstance(tree, exp.ILike) else "LIKE"
    value = compiler.varchar(tree.this, name)
    pattern = _constant(compiler, tree.expression, name)
    node = apply(BOOLEAN, f"{value.text} {name} ...", lambda text: kernels.like(text, pattern, name == "ILIKE"), value)
    return compiler.negated(node) if tree.args.get("negate") else node


def _constant(compiler: Compiling, tree: exp.Expr, what: str) -> str:
    node = compiler.node(tree)
    if not node.is_literal or node.type != VARCHAR:
        raise compiler.error(f"{what} takes a text in quotes, not {node.text}")
    return str(node.value)


def _concat(compiler: Compiling, tree: exp.Expr) -> Node:
    if isinstance(tree, exp.Concat):
        parts = [compiler.varchar(child, "CONCAT") for child in tree.expressions]
        return apply(
            VARCHAR,
            "CONCAT(...)",
            functools.partial(kernels.concatenate, skip_null=True),
            *parts,
            fallible=True,
        )
    parts = [compiler.varchar(child, "'||'") for child in (tree.this, tree.expression)]
    text = f"{parts[0].text} || {parts[1].text}"
    return apply(VARCHAR, text, functools.partial(kernels.concatenate, skip_null=False), *parts, fallible=True)


def _lower_upper(compiler: Compiling, tree: exp.Expr) -> Node:
    name = "LOWER" if isinstance(tree, exp.Lower) else "UPPER"
    value = compiler.varchar(tree.this, name)
    return apply(VARCHAR, f"{name}({value.text})", pc.utf8_lower if name == "LOWER" else pc.utf8_upper, value)


def _length(compiler: Compiling, tree: exp.Expr) -> Node:
    value = compiler.varchar(tree.this, "LENGTH")
    return apply(BIGINT, f"LENGTH({value.text})", lambda text: pc.cast(pc.utf8_length(text), BIGINT), value)


def _trim(compiler: Compiling, tree: exp.Expr) -> Node:
    value = compiler.varchar(tree.this, "TRIM")
    characters = _constant(compiler, tree.expression, "TRIM") if tree.expression else _SPACES
    position = str(tree.args.get("position") or "BOTH").upper()
    function = {"BOTH": pc.utf8_trim, "LEADING": pc.utf8_ltrim, "TRAILING": pc.utf8_rtrim}[position]
    if not characters:
        return value
    return apply(VARCHAR, f"TRIM({value.text})", lambda text: function(text, characters=characters), value)


def _substring(compiler: Compiling, tree: exp.Expr) -> Node:
    value = compiler.varchar(tree.this, "SUBSTRING")
    start = compiler.integer(tree.args["start"], "SUBSTRING's start", 1, 2**31)
    stop: int | None = None
    if tree.args.get("length") is not None:
        stop = start - 1 + compiler.integer(tree.args["length"], "SUBSTRING's length", 0, 2**31)
    text = f"SUBSTRING({value.text}, ...)"
    return apply(VARCHAR, text, lambda column: pc.utf8_slice_codeunits(column, start=start - 1, stop=stop), value)


def _starts_with(compiler: Compiling, tree: exp.Expr) -> Node:
    value = compiler.varchar(tree.this, "STARTS_WITH")
    pattern = _constant(compiler, tree.expression, "STARTS_WITH")
    return apply(BOOLEAN, f"STARTS_WITH({value.text}, ...)", lambda text: pc.starts_with(text, pattern), value)


def _moment(compiler: Compiling, tree: exp.Expr, what: str) -> Node:
    node = compiler.node(tree)
    if node.type == NULL:
        raise compiler.error(f"{what} needs a date or timestamp: {node.text} is null")
    return compiler.expect(node, "a date or timestamp", lambda kind: kind == DATE or is_timestamp(kind), what)


def _extract(compiler: Compiling, tree: exp.Expr) -> Node:
    part = str(tree.this.this if isinstance(tree.this, (exp.Var, exp.Literal)) else tree.this).lower()
    node = _moment(compiler, tree.expression, "EXTRACT")
    text = f"EXTRACT({part.upper()} FROM {node.text})"
    if part == "epoch":
        return apply(DOUBLE, text, kernels.epoch, node)
    if part in _TIME_PARTS and node.type == DATE:
        raise compiler.error(f"EXTRACT({part.upper()} ...) needs a timestamp: {node.text} is date")
    function = _DATE_PARTS.get(part) or _TIME_PARTS.get(part)
    if function is None:
        allowed = ", ".join((*_DATE_PARTS, *_TIME_PARTS, "epoch"))
        raise compiler.error(f"EXTRACT of {shown(part)!r} is not allowed; it takes {allowed}")
    chosen: Any = function
    return apply(BIGINT, text, lambda value: pc.cast(chosen(kernels.naive(value)), BIGINT), node)


def _date_trunc(compiler: Compiling, tree: exp.Expr) -> Node:
    unit = str(tree.args["unit"].this).lower()
    if unit not in _UNITS:
        raise compiler.error(f"DATE_TRUNC to {shown(unit)!r} is not allowed; it takes {', '.join(_UNITS)}")
    node = _moment(compiler, tree.this, "DATE_TRUNC")
    target: pa.DataType = LOCAL_TIMESTAMP if node.type == DATE else node.type
    return apply(target, f"DATE_TRUNC({unit!r}, {node.text})", lambda value: kernels.truncate_time(value, unit), node)


TEXT_AND_TIME: Final[dict[type[exp.Expr], Callable[[Compiling, exp.Expr], Node]]] = {
    exp.Like: _like,
    exp.ILike: _like,
    exp.DPipe: _concat,
    exp.Concat: _concat,
    exp.Lower: _lower_upper,
    exp.Upper: _lower_upper,
    exp.Length: _length,
    exp.Trim: _trim,
    exp.Substring: _substring,
    exp.StartsWith: _starts_with,
    exp.Extract: _extract,
    exp.TimestampTrunc: _date_trunc,
    exp.DateTrunc: _date_trunc,
}
