"""Compiles a checked syntax tree to a node: resolves names and types, and reports mistakes before anything runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import DefinitionError
from tandem.schemas.expressions import branches, kernels
from tandem.schemas.expressions.arithmetic import ARITHMETIC
from tandem.schemas.expressions.coercion import cast, convert, fold, literal, number, unify
from tandem.schemas.expressions.nodes import Frame, Node, apply
from tandem.schemas.expressions.parsing import column_name, shown
from tandem.schemas.expressions.text_and_time import TEXT_AND_TIME
from tandem.schemas.expressions.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    NULL,
    TIMESTAMP,
    VARCHAR,
    is_numeric,
    type_name,
    widened,
)

__all__ = ["Compiler"]

_COMPARISONS: Final = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_CAST_TARGETS: Final = {
    "BIGINT": BIGINT,
    "DOUBLE": DOUBLE,
    "TEXT": VARCHAR,
    "VARCHAR": VARCHAR,
    "BOOLEAN": BOOLEAN,
    "DATE": DATE,
    "TIMESTAMP": TIMESTAMP,
    "TIMESTAMPNTZ": TIMESTAMP,
}


class Compiler:
    """Compiles the nodes of one expression over the columns of `schema`; messages name `field`.

    With `zero_division` a number divided by zero is NULL, and not infinite or NaN.
    """

    def __init__(self, schema: pa.Schema, field: str, *, zero_division: bool = False) -> None:
        self.schema, self.field, self.zero_division = schema, field, zero_division

    def node(self, tree: exp.Expr) -> Node:
        """The compiled node. Raises DefinitionError."""
        compiled = self._compile(tree)
        return compiled if compiled.columns else fold(compiled, self.field)

    def _compile(self, tree: exp.Expr) -> Node:
        kind = type(tree)
        if kind is exp.Paren:
            return self.node(tree.this)
        if kind in _COMPARISONS:
            return self.compared(_COMPARISONS[kind], self.node(tree.this), self.node(tree.expression))
        method: Callable[[Compiler, exp.Expr], Node] | None = _METHODS.get(kind)
        if method is None:  # a node that only occurs inside others, such as a bare VAR
            raise self.error(f"{shown(tree.sql('duckdb'))!r} is not allowed here")
        return method(self, tree)

    def error(self, message: str) -> DefinitionError:
        return DefinitionError(message, field=self.field)

    def expect(self, node: Node, wanted: str, fits: Callable[[pa.DataType], bool], what: str) -> Node:
        """The node, if its type fits or it is NULL."""
        if node.type != NULL and not fits(node.type):
            raise self.error(f"{what} needs {wanted}: {node.text} is {type_name(node.type)}")
        return node

    def boolean(self, tree: exp.Expr, what: str) -> Node:
        node = self.expect(self.node(tree), "a boolean", lambda data_type: data_type == BOOLEAN, what)
        return convert(node, BOOLEAN)

    def varchar(self, tree: exp.Expr, what: str) -> Node:
        node = self.expect(self.node(tree), "a varchar", lambda data_type: data_type == VARCHAR, what)
        return convert(node, VARCHAR)

    def numeric(self, tree: exp.Expr, what: str) -> Node:
        node = self.expect(self.node(tree), "a number", is_numeric, what)
        return convert(node, BIGINT) if node.type == NULL else node

    def compared(self, operator: str, left: Node, right: Node) -> Node:
        _, (left, right) = unify((left, right), f"'{operator}'", self.field)
        text = f"{left.text} {operator} {right.text}"
        if left.type == NULL:
            return literal(None, BOOLEAN, text)
        return apply(BOOLEAN, text, functools.partial(kernels.compare, operator), left, right)

    def _column(self, tree: exp.Expr) -> Node:
        assert isinstance(tree, exp.Column)
        name = column_name(tree)
        if name not in self.schema.names:
            if "." in name and not any("." in known for known in self.schema.names):
                raise self.error(f"'{shown(name)}' has a dot; write just the field's name")
            raise self.error(f"unknown column '{shown(name)}'; {suggestion(name, self.schema.names)}")
        stored = self.schema.field(name).type
        target = widened(stored)

        def run(frame: Frame) -> pa.Array:
            column = frame.columns[name]
            return column if stored == target else pc.cast(column, target)

        return Node(target, run, frozenset((name,)), False, name)

    def _literal(self, tree: exp.Expr) -> Node:
        if tree.args["is_string"]:
            value = str(tree.this)
            return literal(value, VARCHAR, "'" + shown(value.replace("'", "''")) + "'")
        return number(str(tree.this), False, self.field)

    def _boolean_literal(self, tree: exp.Expr) -> Node:
        return literal(bool(tree.this), BOOLEAN, str(bool(tree.this)).upper())

    def _null(self, tree: exp.Expr) -> Node:
        return literal(None, NULL, "NULL")

    def _and_or(self, tree: exp.Expr) -> Node:
        name = "AND" if isinstance(tree, exp.And) else "OR"
        left, right = self.boolean(tree.this, name), self.boolean(tree.expression, name)
        function = pc.and_kleene if name == "AND" else pc.or_kleene
        return apply(BOOLEAN, f"({left.text} {name} {right.text})", function, left, right)

    def _not(self, tree: exp.Expr) -> Node:
        return self.negated(self.boolean(tree.this, "NOT"))

    def negated(self, node: Node) -> Node:
        return apply(BOOLEAN, f"NOT {node.text}", pc.invert, node)

    def _is(self, tree: exp.Expr) -> Node:
        if isinstance(tree.expression, exp.Null):
            node = self.node(tree.this)
            return apply(BOOLEAN, f"{node.text} IS NULL", lambda value: pc.is_null(value), node)
        if not isinstance(tree.expression, exp.Boolean):
            raise self.error(f"IS takes NULL, TRUE or FALSE: {shown(tree.sql('duckdb'))!r}")
        node = self.boolean(tree.this, "IS TRUE")
        wanted = bool(tree.expression.this)
        return apply(BOOLEAN, f"{node.text} IS {wanted}".upper(), lambda value: kernels.is_true(value, wanted), node)

    def _in(self, tree: exp.Expr) -> Node:
        if not tree.expressions:
            raise self.error(f"IN takes a list of values: {shown(tree.sql('duckdb'))!r}")
        value, *items = (self.node(child) for child in (tree.this, *tree.expressions))
        target, (value, *items) = unify((value, *items), "IN", self.field)
        text = f"{value.text} IN (...)"
        if target == NULL:
            return literal(None, BOOLEAN, text)
        if any(item.columns for item in items):
            found = [self.compared("=", value, item) for item in items]
            return functools.reduce(lambda a, b: apply(BOOLEAN, text, pc.or_kleene, a, b), found)
        constants = [item.run(Frame({}, 1)) for item in items]
        known = pa.array([scalar.as_py() for scalar in constants if scalar.is_valid], target)
        holds_null = len(known) < len(constants)
        return apply(BOOLEAN, text, lambda column: kernels.is_in(column, known, holds_null), value)

    def _between(self, tree: exp.Expr) -> Node:
        value = self.node(tree.this)
        low = self.compared(">=", value, self.node(tree.args["low"]))
        high = self.compared("<=", value, self.node(tree.args["high"]))
        return apply(BOOLEAN, f"{value.text} BETWEEN ...", pc.and_kleene, low, high)

    def integer(self, tree: exp.Expr, what: str, low: int, high: int) -> int:
        """The value of an integer literal in the expression, in the given bounds."""
        node = self.node(tree)
        if not node.is_literal or node.type != BIGINT or not low <= int(str(node.value)) <= high:
            raise self.error(f"{what} takes a whole number from {low} to {high}: {node.text}")
        return int(str(node.value))

    def _cast(self, tree: exp.Expr) -> Node:
        target = _CAST_TARGETS.get(str(tree.args["to"].this.value))
        if target is None:
            names = "BIGINT, DOUBLE, VARCHAR, BOOLEAN, DATE and TIMESTAMP"
            raise self.error(f"CAST to {shown(tree.args['to'].sql('duckdb'))} is not allowed; it takes {names}")
        return cast(self.node(tree.this), target, self.field)

    def _case(self, tree: exp.Expr) -> Node:
        subject = self.node(tree.this) if tree.this else None
        whens = []
        for branch in tree.args["ifs"]:
            if subject is None:
                whens.append(self.boolean(branch.this, "WHEN"))
            else:
                whens.append(self.compared("=", subject, self.node(branch.this)))
        thens = [self.node(branch.args["true"]) for branch in tree.args["ifs"]]
        default = self.node(tree.args["default"]) if tree.args.get("default") else literal(None, NULL, "NULL")
        target, (*thens, default) = unify((*thens, default), "CASE", self.field)
        return branches.case(target, whens, thens, default)

    def _several(self, tree: exp.Expr) -> Node:
        name = type(tree).__name__.upper()
        target, nodes = unify([self.node(child) for child in (tree.this, *tree.expressions)], name, self.field)
        if target == NULL:
            return literal(None, NULL, "NULL")
        if name == "COALESCE":
            return branches.coalesce(target, nodes)
        function = kernels.smaller if name == "LEAST" else kernels.larger
        return functools.reduce(lambda a, b: apply(target, f"{name}({a.text}, {b.text})", function, a, b), nodes)

    def _null_if(self, tree: exp.Expr) -> Node:
        value = self.node(tree.this)
        same = self.compared("=", value, self.node(tree.expression))
        return apply(value.type, f"NULLIF({value.text}, ...)", kernels.null_if, value, same)


_METHODS: Final[dict[type[exp.Expr], Callable[[Compiler, exp.Expr], Node]]] = {
    exp.Column: Compiler._column,
    exp.Literal: Compiler._literal,
    exp.Boolean: Compiler._boolean_literal,
    exp.Null: Compiler._null,
    exp.And: Compiler._and_or,
    exp.Or: Compiler._and_or,
    exp.Not: Compiler._not,
    exp.Is: Compiler._is,
    exp.In: Compiler._in,
    exp.Between: Compiler._between,
    exp.Cast: Compiler._cast,
    exp.Case: Compiler._case,
    exp.Coalesce: Compiler._several,
    exp.Least: Compiler._several,
    exp.Greatest: Compiler._several,
    exp.Nullif: Compiler._null_if,
    **ARITHMETIC,
    **TEXT_AND_TIME,
}
