"""A compiled expression, and its evaluation where some rows fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

import pyarrow as pa

from tandem.schemas.errors import DefinitionError
from tandem.schemas.expressions.nodes import Frame, Node, as_array
from tandem.schemas.expressions.types import NULL

__all__ = ["Expression", "compile_expression", "evaluate_rows"]

_T = TypeVar("_T")
_REASON_CHARACTERS: Final = 200


class Expression:
    """An elementwise expression over columns of a record batch; immutable and picklable.

    Unpickling compiles it again.
    """

    __slots__ = ("_node", "_schema", "columns", "field", "text", "type", "zero_division")

    def __init__(self, text: str, field: str, schema: pa.Schema, node: Node, zero_division: bool = False) -> None:
        self.text: str = text
        self.field: str = field
        self.zero_division: bool = zero_division
        """Whether a division by zero is NULL."""
        self.columns: tuple[str, ...] = tuple(name for name in schema.names if name in node.columns)
        """The columns that it reads, in the schema's order."""
        self.type: pa.DataType = node.type
        self._schema, self._node = schema, node

    def evaluate(self, batch: pa.RecordBatch) -> pa.Array:
        """One value a row, of `type`. `batch` holds `columns` in the types that the expression was compiled for.

        Raises ValueError (pa.ArrowInvalid is one) if any row's value can't be computed; `evaluate_rows` finds the rows.
        """
        frame = Frame({name: batch.column(name) for name in self.columns}, batch.num_rows)
        return as_array(self._node.run(frame), batch.num_rows)

    @property
    def schema(self) -> pa.Schema:
        """The schema that it was compiled for."""
        return self._schema

    def __reduce__(self) -> tuple[Callable[..., Expression], tuple[str, pa.Schema, str, bool]]:
        return compile_expression, (self.text, self._schema, self.field, self.zero_division)

    def __repr__(self) -> str:
        return f"Expression({self.text!r}, {self.type})"


def compile_expression(text: str, schema: pa.Schema, field: str, zero_division: bool = False) -> Expression:
    """Compile a SQL expression over the columns of `schema`; messages name it as `field`.

    With `zero_division` a number divided by zero is NULL, and not infinite or NaN.

    Raises DefinitionError for syntax errors, what isn't allowed, unknown columns and mixed types.
    """

    def compiled() -> Node:
        # the parser takes 0.2 s to import, and most questions have no expression
        from tandem.schemas.expressions.compiler import Compiler
        from tandem.schemas.expressions.parsing import parse

        return Compiler(schema, field, zero_division=zero_division).node(parse(text, field))

    node = _on_own_stack(compiled)
    if node.type == NULL:
        raise DefinitionError(
            f"'{text.strip()[:60]}' is always NULL; write CAST(NULL AS ...) for a typed one", field=field
        )
    return Expression(text, field, schema, node, zero_division)


def _on_own_stack(function: Callable[[], _T]) -> _T:
    """The function's result, computed on a thread of its own: whether a deep expression can be parsed must not depend
    on the depth of the caller's stack.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # raised again below
            errors.append(error)

    thread = threading.Thread(target=run, name="compile-expression")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def evaluate_rows(expression: Expression, batch: pa.RecordBatch) -> tuple[pa.Array, dict[int, str]]:
    """The expression's values, null in rows where it fails, and the reason for each of these rows.

    One vectorized evaluation if no row fails; else the failing rows are found by bisection, in about 2 f log2(n / f)
    evaluations for f failing rows of n.
    """
    failed: dict[int, str] = {}
    pieces: list[pa.Array] = []
    pending = [(0, batch.num_rows)]
    while pending:
        start, size = pending.pop()
        try:
            pieces.append(expression.evaluate(batch.slice(start, size)))
        except (ValueError, ArithmeticError) as error:
            if size <= 1:
                failed[start] = _reason(expression, error)
                pieces.append(pa.nulls(size, expression.type))
            else:
                half = size // 2
                pending += [(start + half, size - half), (start, half)]
    return (pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)), failed


def _reason(expression: Expression, error: Exception) -> str:
    text = " ".join(str(error).split())
    text = "integer overflow" if text == "overflow" else text
    return f"{expression.field}: {text[:_REASON_CHARACTERS]}"
