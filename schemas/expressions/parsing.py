"""Parses an expression to a checked syntax tree; anything that isn't on the allow list here is rejected by name."""

from __future__ import annotations

from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from tandem.schemas.errors import DefinitionError

__all__ = ["FUNCTIONS", "MAX_CHARACTERS", "MAX_DEPTH", "MAX_NESTING", "column_name", "parse", "shown"]

MAX_CHARACTERS: Final = 10_000
MAX_DEPTH: Final = 100
"""Depth of the syntax tree; a chain of n operators is n deep."""
MAX_NESTING: Final = 24
"""Depth of nested brackets, CASE, NOT and signs; the parser needs some 25 stack frames for each."""

FUNCTIONS: Final = (
    *("ABS", "CAST", "CEIL", "COALESCE", "CONCAT", "DATE_TRUNC", "EXTRACT", "FLOOR", "GREATEST", "LEAST"),
    *("LENGTH", "LOWER", "NULLIF", "ROUND", "STARTS_WITH", "SUBSTRING", "TRIM", "UPPER"),
)

# The node types that may occur, each with the arguments that the compiler looks at. Any other argument that
# is set (a COLLATE, a FORMAT, SYMMETRIC ...) would be dropped silently, so it is refused.
_UNARY: Final = (exp.Not, exp.Neg, exp.Paren, exp.Lower, exp.Upper, exp.Abs, exp.Length, exp.Floor, exp.Ceil)
_BINARY: Final = (
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.And, exp.Or),
    *(exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.Is, exp.Nullif, exp.StartsWith),
)
_ARGUMENTS: Final[dict[type[exp.Expr], str]] = {
    **dict.fromkeys(_UNARY, "this"),
    **dict.fromkeys(_BINARY, "this expression"),
    exp.Div: "this expression typed safe",
    exp.In: "this expressions",
    exp.Between: "this low high",
    exp.Case: "this ifs default",
    exp.If: "this true",
    exp.Coalesce: "this expressions",
    exp.Like: "this expression negate",
    exp.ILike: "this expression negate",
    exp.DPipe: "this expression safe",
    exp.Concat: "expressions safe coalesce",
    exp.Trim: "this expression position",
    exp.Substring: "this start length",
    exp.Round: "this decimals",
    exp.Least: "this expressions ignore_nulls",
    exp.Greatest: "this expressions ignore_nulls",
    exp.Extract: "this expression",
    exp.TimestampTrunc: "this unit",
    exp.DateTrunc: "this unit unabbreviate",
    exp.Cast: "this to",
    exp.DataType: "this nested",
    exp.Var: "this",
    exp.Column: "this table db",
    exp.Identifier: "this quoted",
    exp.Literal: "this is_string",
    exp.Boolean: "this",
    exp.Null: "",
}
_ALLOWED: Final = {kind: frozenset(arguments.split()) for kind, arguments in _ARGUMENTS.items()}

_NAMED: Final[tuple[tuple[type[exp.Expr], str], ...]] = (
    (exp.Star, "'*'"),
    (exp.Window, "a window function (OVER)"),
    (exp.Query, "a subquery"),
    (exp.Exists, "a subquery"),
    (exp.SubqueryPredicate, "a subquery"),
    (exp.Block, "more than one expression (';')"),
    (exp.Placeholder, "a placeholder"),
    (exp.Parameter, "a placeholder"),
    (exp.Lambda, "a lambda"),
    (exp.Interval, "an INTERVAL"),
    (exp.Bracket, "'[...]'"),
    (exp.Array, "a list"),
    (exp.Struct, "a struct"),
    (exp.Escape, "LIKE ... ESCAPE"),
    (exp.TryCast, "TRY_CAST"),
    (exp.IntDiv, "'//'"),
)
_OPENING: Final = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
_CLOSING: Final = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}
_PREFIXES: Final = {TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE}


def shown(text: str, limit: int = 60) -> str:
    """A piece of an expression for messages: on one line, cut short."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def parse(text: str, field: str) -> exp.Expr:
    """The syntax tree of `text`, of allowed nodes and bounded depth. Raises DefinitionError."""
    if len(text) > MAX_CHARACTERS:
        raise DefinitionError(f"{len(text):,} characters; at most {MAX_CHARACTERS:,}", field=field)
    if not text.strip():
        raise DefinitionError("an empty expression", field=field)
    try:
        _check_nesting(sqlglot.tokenize(text, read="duckdb"), field)
        tree = sqlglot.parse_one(text, read="duckdb", into=exp.Condition)
    except SqlglotError as error:
        raise DefinitionError(f"not an expression: {_syntax(error, text)}", field=field) from None
    except RecursionError:
        raise DefinitionError(f"nested too deeply; at most {MAX_NESTING} levels", field=field) from None
    _check_tree(tree, field)
    return tree


def _check_nesting(tokens: list[Token], field: str) -> None:
    depth = run = 0
    for token in tokens:
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        run = run + 1 if token.token_type in _PREFIXES else 0
        if depth + run > MAX_NESTING:
            raise DefinitionError(f"nested too deeply; at most {MAX_NESTING} levels", field=field)


def _syntax(error: SqlglotError, text: str) -> str:
    details = getattr(error, "errors", None)
    if not details:
        return f"can't read {shown(text)!r}"
    first = details[0]
    near = shown(str(first.get("highlight") or ""))
    return f"can't read {shown(text)!r} at column {first.get('col')}, near {near!r}"


def _check_tree(tree: exp.Expr, field: str) -> None:
    stack: list[tuple[exp.Expr, int]] = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            hint = "write IN (...) for a long chain of OR"
            raise DefinitionError(f"more than {MAX_DEPTH} operations deep; {hint}", field=field)
        _check_node(node, field)
        stack.extend((child, depth + 1) for child in node.iter_expressions())


def _check_node(node: exp.Expr, field: str) -> None:
    allowed = _ALLOWED.get(type(node))
    if allowed is None or (isinstance(node, exp.If) and not isinstance(node.parent, exp.Case)):
        name = _name(node)
        hint = f"; allowed: {', '.join(FUNCTIONS)}" if "function " in name and "OVER" not in name else ""
        raise DefinitionError(f"{name} is not allowed in an expression{hint}", field=field)
    if isinstance(node, exp.In) and node.args.get("query"):
        raise DefinitionError("a subquery is not allowed; IN takes a list of values", field=field)
    extra = sorted(name for name, value in node.args.items() if value and name not in allowed)
    if extra:
        raise DefinitionError(f"'{extra[0]}' of {_name(node)} is not allowed in {shown(_sql(node))!r}", field=field)


def _name(node: exp.Expr) -> str:
    for kind, name in _NAMED:
        if isinstance(node, kind):
            return name
    if isinstance(node, exp.Anonymous):
        return f"function {str(node.this).upper()[:60]}"
    if isinstance(node, exp.AggFunc):
        return f"aggregate function {node.sql_name()}"
    if isinstance(node, exp.Func):
        return f"function {node.sql_name()}"
    return f"{type(node).__name__} ({shown(_sql(node), 40)!r})"


def column_name(node: exp.Column) -> str:
    """The name of a column as written; its parts are joined by dots, as in the schema's names."""
    return ".".join(part.name for part in node.parts)


def _sql(node: exp.Expr) -> str:
    try:
        return node.sql("duckdb")
    except (SqlglotError, RecursionError, ValueError):
        return type(node).__name__
