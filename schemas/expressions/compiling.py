"""What functions of expressions ask of the compiler that calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from tandem.schemas.errors import DefinitionError
from tandem.schemas.expressions.nodes import Node

__all__ = ["Compiling"]


class Compiling(Protocol):
    """Compiles the arguments of a function, each to a node of the type that it needs; else DefinitionError."""

    field: str
    """What messages name."""
    zero_division: bool
    """Whether a number divided by zero is NULL, and not infinite or NaN."""

    def node(self, tree: exp.Expr) -> Node:
        """The compiled node, of any type."""
        ...

    def varchar(self, tree: exp.Expr, what: str) -> Node:
        """A text; `what` needs it."""
        ...

    def numeric(self, tree: exp.Expr, what: str) -> Node:
        """A number."""
        ...

    def integer(self, tree: exp.Expr, what: str, low: int, high: int) -> int:
        """An integer literal in the given bounds."""
        ...

    def expect(self, node: Node, wanted: str, fits: Callable[[pa.DataType], bool], what: str) -> Node:
        """The node, if its type fits or it is NULL."""
        ...

    def negated(self, node: Node) -> Node:
        """NOT of a boolean."""
        ...

    def error(self, message: str) -> DefinitionError:
        """The error that names the field."""
        ...
