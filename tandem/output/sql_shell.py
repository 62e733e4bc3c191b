"""The shell of `tandem sql`: multi-line statements, completion by Tab, history by the arrow keys."""

from __future__ import annotations

import re
import readline
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from tandem.output.sql_tables import print_rows, say_if_cut
from tandem.pipelines.console.printing import console, say
from tandem.schemas.errors import TandemError
from tandem.serving.sql.asking import SqlLimits, ask_sql
from tandem.serving.sql.fixed_tables import FIXED_TABLES
from tandem.serving.sql.statements import PER_DEFINITION

if TYPE_CHECKING:
    from tandem.serving.sql.source import SqlSource

__all__ = ["completions", "run_shell", "statements"]

_KEYWORDS: Final = (
    "SELECT", "FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "JOIN", "USING", "WITH", "AS", "AND", "OR",
    "NOT", "IN", "BETWEEN", "LIKE", "IS NULL", "DESC", "DISTINCT", "UNION ALL", "CASE", "WHEN", "THEN", "ELSE", "END",
    "DESCRIBE", "SHOW TABLES", "SUMMARIZE",
)  # fmt: skip
_HELP: Final = "a statement ends with ; and is one SELECT, DESCRIBE or SHOW TABLES; .quit or Ctrl-D ends, Tab completes"
_WORD: Final = " \t\n,;()<>=*/+-"


def run_shell(source: SqlSource, limits: SqlLimits) -> None:
    """Read and run statements until .quit or Ctrl-D. Ctrl-C discards the current statement; an error is one line."""
    _complete_by_tab(source, limits)
    say(f"tables: {', '.join([*source.names, *FIXED_TABLES])}, answers('NAME', WINDOW), events('NAME')")
    say(_HELP)
    for statement in statements(input):
        if statement == ".help":
            say(_HELP)
            continue
        try:
            found = ask_sql(source, statement, limits)
        except TandemError as error:
            say(f"error: {error}", err=True)
            continue
        print_rows(console(), found.table)
        say_if_cut(found)


def statements(read: Callable[[str], str]) -> Iterator[str]:
    """Statements as they are typed: lines up to one that ends with a semicolon, and commands with a dot."""
    lines: list[str] = []
    while True:
        try:
            line = read("   ... " if lines else "tandem> ").rstrip()
        except EOFError:
            return
        except KeyboardInterrupt:
            lines = []
            say("")
            continue
        if not lines and line in (".quit", ".exit"):
            return
        if not lines and line == ".help":
            yield line
            continue
        if line.strip():
            lines.append(line)
        if line.endswith(";"):
            yield "\n".join(lines).rstrip(";")
            lines = []


def completions(source: SqlSource, limits: SqlLimits) -> Callable[[str], list[str]]:
    """The completions of a word's beginning: keywords, tables, functions, and columns of all tables."""
    found = ask_sql(source, "SELECT DISTINCT column_name FROM information_schema.columns ORDER BY 1", limits)
    columns = [str(row["column_name"]) for row in found.table.to_pylist()]
    functions = [f"{function}('{name}'" for function in PER_DEFINITION for name in source.names]
    words = list(dict.fromkeys([*source.names, *FIXED_TABLES, *functions, *columns]))

    def fitting(begun: str) -> list[str]:
        if not re.search(r"\w", begun):
            return []
        keywords = [word for word in _KEYWORDS if word.startswith(begun.upper())]
        return [word for word in words if word.startswith(begun)] + keywords

    return fitting


def _complete_by_tab(source: SqlSource, limits: SqlLimits) -> None:
    fitting = completions(source, limits)
    readline.set_completer_delims(_WORD)
    readline.set_completer(lambda begun, at: next(iter(fitting(begun)[at : at + 1]), None))
    readline.parse_and_bind("tab: complete")
