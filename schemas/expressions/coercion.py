"""Builds literals, and converts nodes to other types."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.errors import DefinitionError
from tandem.schemas.expressions import kernels
from tandem.schemas.expressions.nodes import Datum, Frame, Node, apply
from tandem.schemas.expressions.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    LOCAL_TIMESTAMP,
    NULL,
    TIMESTAMP,
    VARCHAR,
    LiteralValue,
    common_type,
    is_decimal,
    is_timestamp,
    type_name,
)
from tandem.schemas.time.limits import checked_times

__all__ = ["cast", "convert", "fold", "literal", "number", "unify"]

_BIGINT_LIMIT: Final = 2**63


def literal(value: LiteralValue, data_type: pa.DataType, text: str) -> Node:
    """A node whose value is the same in each row."""
    scalar = pa.scalar(float(value) if isinstance(value, Decimal) and data_type == DOUBLE else value, data_type)
    return Node(data_type, lambda frame: scalar, frozenset(), False, text, True, value)


def number(digits: str, negative: bool, field: str) -> Node:
    """A numeric literal: a bigint without point and exponent, else a double that becomes a decimal beside decimals."""
    text = f"-{digits}" if negative else digits
    value = Decimal(text)
    if not set(digits) & set(".eE"):
        if not -_BIGINT_LIMIT <= int(value) < _BIGINT_LIMIT:
            raise DefinitionError(f"{text} is out of range; integers have 64 bits", field=field)
        return literal(int(value), BIGINT, text)
    if not math.isfinite(float(value)):
        raise DefinitionError(f"{text} is out of range; floats have 64 bits", field=field)
    return literal(value, DOUBLE, text)


def fold(node: Node, field: str) -> Node:
    """A node without columns, computed at once, so that its errors are reported at once."""
    if node.columns or node.is_literal:
        return node
    try:
        result = node.run(Frame({}, 1))
    except ValueError as error:
        raise DefinitionError(f"{node.text}: {' '.join(str(error).split())[:200]}", field=field) from None
    scalar = result if isinstance(result, pa.Scalar) else result[0]
    return Node(node.type, lambda frame: scalar, frozenset(), False, node.text)


def unify(nodes: Sequence[Node], what: str, field: str) -> tuple[pa.DataType, list[Node]]:
    """The nodes in their common type. Raises DefinitionError naming two nodes without one."""
    target = common_type([node.typed for node in nodes])
    if target is None:
        raise DefinitionError(_mismatch(nodes, what), field=field)
    return target, [convert(node, target) for node in nodes]


def _mismatch(nodes: Sequence[Node], what: str) -> str:
    left, right = next(
        ((a, b) for a in nodes for b in nodes if common_type([a.typed, b.typed]) is None),
        (nodes[0], nodes[-1]),
    )
    hint = ""
    for one, other in ((left, right), (right, left)):
        if one.is_literal and one.type == VARCHAR and (is_timestamp(other.type) or other.type == DATE):
            hint = f"; write {'DATE' if other.type == DATE else 'TIMESTAMP'} {one.text}"
    sides = f"{left.text} is {type_name(left.type)}, {right.text} is {type_name(right.type)}"
    return f"{what} needs values of one type: {sides}{hint or '; convert one with CAST'}"


def convert(node: Node, target: pa.DataType) -> Node:
    """A node in the type that `common_type` found for it and others; no value makes it fail."""
    if node.type == target:
        return node
    if node.type == NULL or (node.is_literal and node.value is None):
        return literal(None, target, node.text)
    if node.is_literal and is_decimal(target):
        scalar = pa.scalar(Decimal(str(node.value)), target)
        return Node(target, lambda frame: scalar, frozenset(), False, node.text, True, node.value)
    # safe=False: integers beyond 2**53 are rounded to the nearest double
    return apply(target, node.text, lambda value: pc.cast(value, target, safe=False), node)


def cast(node: Node, target: pa.DataType, field: str) -> Node:
    """CAST; rejected where the text of a value would depend on the engine, or where SQL has no conversion."""
    text = f"CAST({node.text} AS {type_name(target).upper()})"
    if node.type in (target, NULL):
        return convert(node, target)
    function = _conversion(node.type, target)
    if function is None:
        reason = f"{node.text} is {type_name(node.type)} and can't be cast to {type_name(target)}"
        if node.type == DOUBLE and target == VARCHAR:
            reason += "; the text of a float isn't defined by SQL, cast it to BIGINT first"
        raise DefinitionError(reason, field=field)
    fallible = node.type == VARCHAR or (target == BIGINT and node.type != BOOLEAN)
    folded = fold(apply(target, text, function, node, fallible=fallible), field)
    if node.is_literal and node.type == VARCHAR and (is_timestamp(target) or target == DATE):
        value = folded.run(Frame({}, 1))
        plain: date = value.as_py() if target == DATE else pc.cast(value, LOCAL_TIMESTAMP).as_py()
        return Node(
            target,
            lambda frame: value,
            frozenset(),
            False,
            f"{type_name(target).upper()} {node.text}",
            True,
            plain,
        )
    return folded


def _conversion(source: pa.DataType, target: pa.DataType) -> Callable[[Datum], Datum] | None:
    assert target in (BOOLEAN, BIGINT, DOUBLE, VARCHAR, DATE, TIMESTAMP)
    convert = _CONVERSIONS.get((type_name(source).split("(")[0], type_name(target)))
    return None if convert is None else partial(convert, target)


def _plain(target: pa.DataType, value: Datum) -> Datum:
    return pc.cast(value, target, safe=False)


def _checked(target: pa.DataType, value: Datum) -> Datum:
    return pc.cast(value, target)


def _whole(target: pa.DataType, value: Datum) -> Datum:
    return pc.cast(pc.round(value, round_mode="half_towards_infinity"), target)


def _day(target: pa.DataType, value: Datum) -> Datum:
    return pc.cast(pc.floor_temporal(kernels.naive(value), unit="day"), DATE)


def _local(target: pa.DataType, value: Datum) -> Datum:
    return pc.cast(kernels.naive(value), target)


_CONVERSIONS: Final[dict[tuple[str, str], Callable[[pa.DataType, Datum], Datum]]] = {
    ("boolean", "bigint"): _plain,
    ("boolean", "double"): lambda target, value: pc.cast(pc.cast(value, BIGINT), DOUBLE),
    ("boolean", "varchar"): _plain,
    ("bigint", "double"): _plain,
    ("bigint", "varchar"): _plain,
    ("bigint", "boolean"): _plain,
    ("double", "bigint"): lambda target, value: kernels.double_to_bigint(value),
    ("double", "boolean"): _plain,
    ("decimal", "bigint"): _whole,
    ("decimal", "double"): _plain,
    ("decimal", "varchar"): _plain,
    ("varchar", "boolean"): _checked,
    ("varchar", "bigint"): _checked,
    ("varchar", "double"): _checked,
    ("varchar", "date"): lambda target, value: checked_times(_checked(target, value)),
    ("varchar", "timestamp"): lambda target, value: checked_times(kernels.timestamp_of_text(value)),
    ("date", "varchar"): _plain,
    ("date", "timestamp"): lambda target, value: pc.cast(pc.cast(value, LOCAL_TIMESTAMP), target),
    ("timestamp", "date"): _day,
    ("timestamp", "varchar"): lambda target, value: kernels.text_of_timestamp(value),
    ("local timestamp", "date"): _day,
    ("local timestamp", "varchar"): lambda target, value: kernels.text_of_timestamp(value),
    ("local timestamp", "timestamp"): _local,
}
"""Conversions by the names of both types."""
