"""SQL expressions over events: parsed, checked against an allow list, compiled to Arrow computations."""

from tandem.schemas.expressions.expression import Expression, compile_expression, evaluate_rows
from tandem.schemas.expressions.types import type_name

__all__ = ["Expression", "compile_expression", "evaluate_rows", "type_name"]
