"""Checks statements, and finds the tables that they name.

DuckDB parses a statement into a tree, which is checked node by node: one SELECT, over our tables and functions that
generate rows. `answers('clicks', '1h')` becomes a table of that name; then the tree is turned into SQL again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import UserError

__all__ = ["ANSWERS", "EVENTS", "PER_DEFINITION", "Asked", "Statement", "parsed"]

ANSWERS: Final = "answers"
EVENTS: Final = "events"
PER_DEFINITION: Final = {ANSWERS: ("definition", "window", "zone", "first_day"), EVENTS: ("definition",)}
"""Functions that name a table of one definition, and their parameters."""
_FROM_NOTHING: Final = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})
_QUERIES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_REFUSED: Final = frozenset({"current_setting", "getvariable", "getenv", "write_log"})
"""Scalar functions that reveal the process, or have side effects."""
_SCHEMAS: Final = ("", "main", "information_schema")
_OF_SYSTEM: Final = ("duckdb_", "pg_", "pragma_", "sqlite_")
_ONLY: Final = "one SELECT is wanted; nothing is written, attached, loaded or set by SQL"


@dataclass(frozen=True, slots=True)
class Asked:
    """One of PER_DEFINITION, with its arguments."""

    function: str
    definition: str
    window: str | None = None
    zone: str | None = None
    first_day: str | None = None

    @property
    def table(self) -> str:
        """The name of the table that it stands for."""
        given = (self.definition, self.window, self.zone, self.first_day)
        return f"{self.function}({', '.join(each for each in given if each is not None)})"


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT that passed the checks."""

    sql: str
    """With tables in place of functions."""
    tables: frozenset[str]
    """Names after FROM that don't stand for a function."""
    asked: tuple[Asked, ...]


def parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> Statement:
    """The checked statement. Raises UserError for one that can't be parsed, or that does more than read."""
    tree = json.loads(_one(connection, "json_serialize_sql", sql))
    if tree["error"]:
        if tree["error_type"] == "not implemented":
            raise UserError(f"SQL: {_ONLY}")
        raise UserError(f"SQL: {tree['error_message'].splitlines()[0]}")
    if len(tree["statements"]) != 1:
        raise UserError(f"SQL: {len(tree['statements'])} statements; {_ONLY}")
    tables, asked = set[str](), dict[Asked, None]()
    for node in _nodes(tree):
        _check(node)
        if node.get("type") == "TABLE_FUNCTION":
            found = _asked(node["function"])
            if found is not None:
                asked[found] = None
                _become_table(node, found.table)
        elif node.get("type") == "BASE_TABLE":
            tables.add(str(node["table_name"]))
    return Statement(_one(connection, "json_deserialize_sql", json.dumps(tree)), frozenset(tables), tuple(asked))


def _one(connection: duckdb.DuckDBPyConnection, function: str, text: str) -> str:
    try:
        found = connection.execute(f"SELECT {function}($1)", [text]).fetchall()[0]
    except duckdb.Error as error:
        raise UserError(f"SQL: {str(error).splitlines()[0]}") from None
    return str(found[0])


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects of a tree; parents first, so that they can be changed before their children are visited."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _check(node: dict[str, Any]) -> None:
    kind = str(node.get("type", ""))
    if kind.endswith("_NODE") and kind not in _QUERIES:
        raise UserError(f"SQL: {_ONLY}")
    if kind == "BASE_TABLE":
        schema, name = str(node.get("schema_name", "")), str(node["table_name"])
        path = node.get("qualified_name", {}).get("path", [name])
        known = not node.get("catalog_name") and schema in _SCHEMAS and path[:-1] == [schema][: len(path) - 1]
        if not known or len(path) > 2 or path[-1] != name or name.lower().startswith(_OF_SYSTEM):
            raise UserError(f"SQL: table {name} isn't one of an installation; `SHOW TABLES` lists those that are")
    elif kind == "FUNCTION" and str(node.get("function_name", "")).lower() in _REFUSED:
        raise UserError(f"SQL: function {node['function_name']} isn't there")


def _asked(function: dict[str, Any]) -> Asked | None:
    """The arguments of a function after FROM; None for one that generates rows by itself."""
    name = str(function["function_name"]).lower()
    if name in _FROM_NOTHING:
        return None
    if name not in PER_DEFINITION:
        raise UserError(f"SQL: {name}() after FROM: {suggestion(name, [*PER_DEFINITION, *sorted(_FROM_NOTHING)])}")
    names, given = PER_DEFINITION[name], dict[str, str]()
    for at, argument in enumerate(function["arguments"]):
        value, called = _text(argument["expression"]), str(argument.get("name") or "")
        called = called or (names[at] if at < len(names) else "")
        if called not in names or called in given or value is None:
            written = ", ".join(f"{each} := '...'" if at > 1 else f"'{each}'" for at, each in enumerate(names))
            raise UserError(f"SQL: write {name}({written}), each of them a text")
        given[called] = value
    if "definition" not in given:
        raise UserError(f"SQL: {name}() of which definition? write {name}('NAME')")
    return Asked(name, **given)


def _text(expression: dict[str, Any]) -> str | None:
    literal = expression.get("literal")
    if expression.get("class") != "CONSTANT" or not isinstance(literal, dict) or literal.get("kind") != "STRING":
        return None
    return str(literal["text"])


def _become_table(node: dict[str, Any], name: str) -> None:
    """Turn a reference to a function into one to a table, under the same alias."""
    alias = node.get("alias") or name.partition("(")[0]
    kept = {"sample": node.get("sample"), "query_location": node.get("query_location", 0)}
    columns = node.get("column_name_alias", [])
    node.clear()
    node.update({"type": "BASE_TABLE", "alias": alias, **kept, "schema_name": "", "table_name": name})
    node.update({"column_name_alias": columns, "catalog_name": ""})
