"""Arithmetic, and functions of numbers.

Integers are checked for overflow; `/` always gives a double; decimals keep every digit in sums, differences
and products.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tandem.schemas.expressions import kernels
from tandem.schemas.expressions.coercion import convert, number, unify
from tandem.schemas.expressions.compiling import Compiling
from tandem.schemas.expressions.nodes import Node, apply
from tandem.schemas.expressions.types import BIGINT, DOUBLE, decimal_type, digits_of, is_decimal

__all__ = ["ARITHMETIC"]

_FUNCTIONS: Final[dict[type[exp.Expr], tuple[str, str]]] = {
    exp.Add: ("+", "add_checked"),
    exp.Sub: ("-", "subtract_checked"),
    exp.Mul: ("*", "multiply_checked"),
}


def _sum_or_product(compiler: Compiling, tree: exp.Expr) -> Node:
    operator, function = _FUNCTIONS[type(tree)]
    sides = [compiler.numeric(side, f"'{operator}'") for side in (tree.this, tree.expression)]
    text = f"({sides[0].text} {operator} {sides[1].text})"
    decimals = [side for side in sides if is_decimal(side.type)]
    if decimals and not any(side.type == DOUBLE and not side.is_literal for side in sides):
        return _decimal_arithmetic(compiler, function, sides, text)
    if any(side.type == DOUBLE for side in sides):
        sides = [convert(side, DOUBLE) for side in sides]
    target = sides[0].type
    kernel = functools.partial(kernels.arithmetic, function)
    return apply(target, text, kernel, *sides, fallible=target == BIGINT)


def _decimal_arithmetic(compiler: Compiling, function: str, sides: list[Node], text: str) -> Node:
    common, unified = unify(sides, text, compiler.field)
    if common == DOUBLE:
        return apply(DOUBLE, text, functools.partial(kernels.arithmetic, function), *unified)
    left, right = (side if is_decimal(side.type) else _smallest_decimal(side) for side in sides)
    if function == "multiply_checked":
        precision, scale = (
            left.type.precision + right.type.precision + 1,
            left.type.scale + right.type.scale,
        )
    else:
        scale = max(left.type.scale, right.type.scale)
        whole = max(left.type.precision - left.type.scale, right.type.precision - right.type.scale)
        precision = whole + scale + 1
    target = decimal_type(precision, scale)
    if target is None:
        message = f"{text} would need {precision} digits; decimals have at most 76, CAST one side to DOUBLE"
        raise compiler.error(message)
    if precision > 38:  # Arrow computes the result's digits by the same rules, in the width of its arguments
        left, right = (convert(side, pa.decimal256(side.type.precision, side.type.scale)) for side in (left, right))
    return apply(target, text, functools.partial(kernels.arithmetic, function), left, right)


def _smallest_decimal(node: Node) -> Node:
    """An integer, or a numeric literal, as a decimal of the fewest digits that hold it."""
    if not node.is_literal or node.value is None:
        return convert(node, pa.decimal128(19, 0))
    target = decimal_type(*digits_of(Decimal(str(node.value))))
    assert target is not None  # else the common type had been double
    return convert(node, target)


def _divide(compiler: Compiling, tree: exp.Expr) -> Node:
    left, right = (convert(compiler.numeric(side, "'/'"), DOUBLE) for side in (tree.this, tree.expression))
    if compiler.zero_division:
        return apply(DOUBLE, f"({left.text} / {right.text})", kernels.divide_or_null, left, right)
    return apply(DOUBLE, f"({left.text} / {right.text})", pc.divide, left, right)


def _modulo(compiler: Compiling, tree: exp.Expr) -> Node:
    left, right = (compiler.numeric(side, "'%'") for side in (tree.this, tree.expression))
    if not left.type == right.type == BIGINT:
        left, right = convert(left, DOUBLE), convert(right, DOUBLE)
        if compiler.zero_division:
            right = apply(DOUBLE, right.text, kernels.null_for_zero, right)
    return apply(left.type, f"({left.text} % {right.text})", kernels.remainder, left, right)


def _negative(compiler: Compiling, tree: exp.Expr) -> Node:
    if isinstance(tree.this, exp.Literal) and not tree.this.args["is_string"]:
        return number(str(tree.this.this), True, compiler.field)
    node = compiler.numeric(tree.this, "'-'")
    return apply(node.type, f"-{node.text}", pc.negate_checked, node, fallible=node.type == BIGINT)


def _absolute(compiler: Compiling, tree: exp.Expr) -> Node:
    node = compiler.numeric(tree.this, "ABS")
    return apply(node.type, f"ABS({node.text})", pc.abs_checked, node, fallible=node.type == BIGINT)


def _floor_ceil(compiler: Compiling, tree: exp.Expr) -> Node:
    name = "FLOOR" if isinstance(tree, exp.Floor) else "CEIL"
    node = convert(compiler.numeric(tree.this, name), DOUBLE)
    return apply(DOUBLE, f"{name}({node.text})", pc.floor if name == "FLOOR" else pc.ceil, node)


def _round(compiler: Compiling, tree: exp.Expr) -> Node:
    node, digits = compiler.numeric(tree.this, "ROUND"), 0
    if tree.args.get("decimals") is not None:
        digits = compiler.integer(tree.args["decimals"], "ROUND", -15, 15)
    if node.type == BIGINT and digits >= 0:
        return node
    node = convert(node, DOUBLE)
    return apply(DOUBLE, f"ROUND({node.text}, {digits})", lambda x: kernels.round_double(x, digits), node)


ARITHMETIC: Final[dict[type[exp.Expr], Callable[[Compiling, exp.Expr], Node]]] = {
    exp.Add: _sum_or_product,
    exp.Sub: _sum_or_product,
    exp.Mul: _sum_or_product,
    exp.Div: _divide,
    exp.Mod: _modulo,
    exp.Neg: _negative,
    exp.Abs: _absolute,
    exp.Floor: _floor_ceil,
    exp.Ceil: _floor_ceil,
    exp.Round: _round,
}
