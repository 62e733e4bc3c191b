"""A client of an installation on this machine, or of its places: reads the view store, without a server."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import UserError
from tandem.serving.client.values import (
    Client,
    ClientAnswer,
    ClientSeries,
    ClientTable,
    Key,
    answer_of,
    key_parameter,
    series_of,
)
from tandem.serving.questions.answers.answer_data import answer_data
from tandem.serving.questions.answers.asking import SelectFlags, ask, question_of
from tandem.serving.questions.exports.forms import arrow_batch, arrow_schema
from tandem.serving.questions.exports.rows import export_of, exported
from tandem.serving.questions.selection.instants import parse_span
from tandem.serving.questions.selection.naming import compiled_named, key_named, registered_names
from tandem.serving.questions.selection.session_spans import SessionFlags
from tandem.serving.questions.selection.spans import TimeFlags
from tandem.views.store import ViewStore

__all__ = ["LocalClient", "asked_text"]

_OF_TIME = ("window", "at", "start", "end", "since", "zone", "first_day", "step")
_OF_RESULTS = ("measures", "where")


class LocalClient(Client):
    """See `tandem.serving.client.values.Client`."""

    def __init__(self, store: str, journal: str, dead_letters: str) -> None:
        """Open a view store by its URL. Raises NoStoreError, StoreError."""
        self._store = ViewStore(store, create=False)
        self._journal, self._dead_letters = journal, dead_letters

    def definitions(self) -> list[str]:
        """The names of all definitions, sorted."""
        return registered_names(self._store)

    def answer(self, name: str, key: Key = None, **asked: Any) -> ClientAnswer:
        """The answer of one key over a window or span."""
        return answer_of(self._asked(name, key, asked, series=False))

    def series(self, name: str, key: Key = None, **asked: Any) -> ClientSeries:
        """The answers of one key, step by step."""
        return series_of(self._asked(name, key, asked, series=True))

    def answers(self, name: str, **asked: Any) -> ClientTable:
        """The answers of every key and step that has events, all of one instant."""
        compiled = self._compiled(name)
        times, select = self._flags(compiled, asked.pop("key", None), asked)
        export = export_of(compiled, times, select)
        batches = [arrow_batch(export, rows) for rows in exported(self._store, export)]
        return ClientTable(pa.Table.from_batches(batches, schema=arrow_schema(export)))

    def sql(self, statement: str) -> ClientTable:
        """The rows of one SELECT, over tables of one instant."""
        from tandem.serving.sql.asking import SqlLimits, ask_sql
        from tandem.serving.sql.source import SqlSource, all_visible

        source = SqlSource(self._store, self._journal, self._dead_letters, self.definitions(), all_visible)
        found = ask_sql(source, statement, SqlLimits())
        return ClientTable(found.table, found.whole)

    def alerts(self, name: str, key: Key = None, **asked: Any) -> list[dict[str, Any]]:
        """Alerts, the newest first."""
        from tandem.serving.outcomes.alert_data import alert_data, known_states
        from tandem.views.decisions.listing import alerts

        check_names(asked, ("rule", "state", "firing", "start", "end", "limit"))
        compiled, states = self._compiled(name), asked.get("state") or ()
        with self._store.database.read() as connection:
            rows = alerts(
                connection, compiled.definition.name,
                rule=asked.get("rule"), key=self._key(compiled, key),
                states=known_states([states] if isinstance(states, str) else states),
                firing=bool(asked.get("firing")), span=_span(asked), most=int(asked.get("limit", 100)),
            )  # fmt: skip
        return [alert_data(compiled.definition.key, row) for row in rows]

    def alert(self, name: str, alert: str) -> dict[str, Any]:
        """One alert, with the verdicts behind it."""
        from tandem.serving.outcomes.alert_data import alert_data, found_alert
        from tandem.views.decisions.listing import receipts_of

        compiled = self._compiled(name)
        row = found_alert(self._store, compiled.definition.name, alert)
        with self._store.database.read() as connection:
            return {**alert_data(compiled.definition.key, row), "states": receipts_of(connection, row.id)}

    def results(self, name: str, key: Key = None, **asked: Any) -> list[dict[str, Any]]:
        """Last revisions of results, the newest windows first."""
        from tandem.serving.outcomes.result_data import revision_data
        from tandem.views.results.listing import revisions

        check_names(asked, ("result", "start", "end", "limit"))
        compiled = self._compiled(name)
        wanted, most = self._key(compiled, key), int(asked.get("limit", 100))
        with self._store.database.read() as connection:
            rows = revisions(connection, compiled.definition.name, asked.get("result"), wanted, _span(asked), most)
        return [revision_data(compiled.definition.key, row) for row in rows]

    def acknowledge(self, name: str, alert: str, note: str = "") -> None:
        """Acknowledge an alert, in the name of this system's user."""
        from tandem.serving.outcomes.alert_data import found_alert
        from tandem.views.decisions.handling import acknowledge

        compiled = self._compiled(name)
        row = found_alert(self._store, compiled.definition.name, alert)
        acknowledge(self._store, compiled.definition.name, row.id, getpass.getuser(), note, _now())

    def silence(self, name: str, last: str, note: str, *, rule: str | None = None, key: Key = None) -> int:
        """Suppress messages of a rule or key for a time, in the name of this system's user; returns the silence's
        number.
        """
        from tandem.serving.outcomes.alert_data import silence_until
        from tandem.views.decisions.handling import silence

        compiled, now = self._compiled(name), _now()
        until = silence_until(compiled, rule, last, now)
        return silence(
            self._store, compiled.definition.name, now, until,
            rule=rule or "", key=self._key(compiled, key) or "", by=getpass.getuser(), note=note,
        )  # fmt: skip

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _compiled(self, name: str) -> CompiledDefinition:
        return compiled_named(name, self._store)

    def _key(self, compiled: CompiledDefinition, key: Key) -> str | None:
        return key_named(compiled, key_parameter(key, compiled.definition.key))

    def _asked(self, name: str, key: Key, asked: dict[str, Any], *, series: bool) -> dict[str, Any]:
        compiled = self._compiled(name)
        times, select = self._flags(compiled, key, asked)
        question = question_of(compiled, times, SessionFlags(), select, series=series)
        if question.key is None:
            names = ",".join(f"{column}=..." for column in compiled.definition.key)
            raise UserError(f"{name}: which key? give key={names!r}; answers() has those of all keys")
        return answer_data(question, ask(self._store, question))

    def _flags(self, compiled: CompiledDefinition, key: Key, asked: dict[str, Any]) -> tuple[TimeFlags, SelectFlags]:
        check_names(asked, (*_OF_TIME, *_OF_RESULTS))
        given = {each: asked_text(value) for each, value in asked.items()}
        times = {each: given.get(each) for each in _OF_TIME}
        return (
            TimeFlags(_now(), **times),
            SelectFlags(key_parameter(key, compiled.definition.key), given.get("measures"), given.get("where")),
        )


def _now() -> int:
    return time.time_ns() // 1000


def _span(asked: Mapping[str, Any]) -> tuple[int, int] | None:
    return parse_span(asked_text(asked.get("start")), asked_text(asked.get("end")))


def check_names(asked: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise UserError for an unknown parameter."""
    for each in asked:
        if each not in known:
            raise UserError(f"{each}: {suggestion(each, list(known))}")


def asked_text(value: Any) -> str | None:
    """A parameter in the form of a flag: times may be given as datetimes, measures as a list."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ",".join(map(str, value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
