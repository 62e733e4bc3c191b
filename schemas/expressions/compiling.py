"""The interface of the compiler for functions of expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from tandem.schemas.errors import DefinitionError
from tandem.schemas.expressions.nodes import Node

__all__ = ["Compiling"]


class Compiling(Protocol):
    """Compiles the arguments of a function, each to a node of the type that it needs, or raises DefinitionError."""

    field: str
    """The field's name in messages."""
    zero_division: bool
    """Whether a number divided by zero is NULL, and not infinite or NaN."""

    def node(self, tree: exp.Expr) -> Node:
        """The compiled node, of any type."""
        ...

    def varchar(self, tree: exp.Expr, what: str) -> Node:
        """The node of a text, which `what` needs."""
        ...

    def numeric(self, tree: exp.Expr, what: str) -> Node:
        """The node of a number, which `what` needs."""
        ...

    def integer(self, tree: exp.Expr, what: str, low: int, high: int) -> int:
        """The value of an integer literal in the given bounds."""
        ...

    def expect(self, node: Node, wanted: str, fits: Callable[[pa.DataType], bool], what: str) -> Node:
        """The node, if its type fits or it is NULL."""
        ...

    def negated(self, node: Node) -> Node:
        """NOT of a boolean."""
        ...

    def error(self, message: str) -> DefinitionError:
        """An error that names the field."""
        ...
