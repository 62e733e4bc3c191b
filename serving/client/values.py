"""The results of a client: answers with their certificates, and tables for Arrow, Polars and pandas."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import pyarrow as pa

from tandem.schemas.errors import LaunchError

__all__ = ["Client", "ClientAnswer", "ClientSeries", "ClientTable", "Key", "answer_of", "key_parameter", "series_of"]

Key = str | Sequence[Any] | Mapping[str, Any] | None
"""A key in the form of `--key`, its values in their order, or its values by column."""


@dataclass(frozen=True)
class ClientTable:
    """Rows in columns, as Arrow, Polars, pandas or dicts.

    >>> ClientTable(pa.table({"page": ["home"], "clicks": [3]})).rows()
    [{'page': 'home', 'clicks': 3}]
    """

    table: pa.Table
    whole: bool = True
    """Whether these are all rows: a statement of SQL returns at most a limit."""

    def arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self.table

    def polars(self) -> Any:
        """The rows as a Polars DataFrame. Raises LaunchError where Polars isn't installed."""
        try:
            import polars
        except ModuleNotFoundError as error:
            raise _lacking(error) from error
        return polars.from_arrow(self.table)

    def pandas(self) -> Any:
        """The rows as a pandas DataFrame. Raises LaunchError where pandas isn't installed."""
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise _lacking(error) from error
        found: pandas.DataFrame = self.table.to_pandas()
        return found

    def rows(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found

    def __len__(self) -> int:
        return int(self.table.num_rows)


@dataclass(frozen=True)
class ClientAnswer:
    """The results of one key over [start, end), with their certificate."""

    key: Mapping[str, Any]
    start: datetime
    end: datetime
    results: Mapping[str, Any]
    """By name, in the form of JSON."""
    certificate: Mapping[str, Any]

    @property
    def status(self) -> str:
        """FINAL, PROVISIONAL or PARTIAL; `certificate["reasons"]` gives the reasons."""
        return str(self.certificate["status"])

    def __getitem__(self, result: str) -> Any:
        """One of the results."""
        return self.results[result]


@dataclass(frozen=True)
class ClientSeries(ClientTable):
    """Answers step by step: start, end, events, batch_events, status, then the results."""

    certificate: Mapping[str, Any] | None = None
    """One certificate for all steps."""


class Client(ABC):
    """A client of an installation. Calls raise TandemError, in one line with a remedy."""

    @abstractmethod
    def definitions(self) -> list[str]:
        """The names of all definitions, sorted."""

    @abstractmethod
    def answer(self, name: str, key: Key = None, **asked: Any) -> ClientAnswer:
        """The answer of one key. `asked`: window, at, start, end, since, zone, first_day, measures."""

    @abstractmethod
    def series(self, name: str, key: Key = None, **asked: Any) -> ClientSeries:
        """Its answers step by step. `asked`: as for `answer`, and step, where."""

    @abstractmethod
    def answers(self, name: str, **asked: Any) -> ClientTable:
        """The answers of every key and step that has events. `asked`: step or window, start, end, key, measures, where,
        zone.
        """

    @abstractmethod
    def sql(self, statement: str) -> ClientTable:
        """The rows of one SELECT; see `tandem sql`."""

    @abstractmethod
    def alerts(self, name: str, key: Key = None, **asked: Any) -> list[dict[str, Any]]:
        """Alerts, the newest first. `asked`: rule, state (one or a list), firing, start, end, limit."""

    @abstractmethod
    def alert(self, name: str, alert: str) -> dict[str, Any]:
        """One alert by its id, or a prefix of it; `states` are its states with the verdicts behind them."""

    @abstractmethod
    def results(self, name: str, key: Key = None, **asked: Any) -> list[dict[str, Any]]:
        """Last revisions of results, the newest windows first. `asked`: result, start, end, limit."""

    @abstractmethod
    def acknowledge(self, name: str, alert: str, note: str = "") -> None:
        """Acknowledge an alert; a server allows it to operators."""

    @abstractmethod
    def silence(self, name: str, last: str, note: str, *, rule: str | None = None, key: Key = None) -> int:
        """Suppress messages of a rule or key for a duration (`2h`); returns the silence's number. A server allows it to
        operators.
        """

    @abstractmethod
    def close(self) -> None:
        """Close connections and files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def answer_of(data: Mapping[str, Any]) -> ClientAnswer:
    """The answer of JSON data of `serving.questions.answers.answer_data`."""
    start, end = (datetime.fromisoformat(data[each]) for each in ("start", "end"))
    return ClientAnswer(data["key"], start, end, data["results"], data["certificate"])


def series_of(data: Mapping[str, Any]) -> ClientSeries:
    """The series of such data."""
    points = [{**_flat(point), **point["results"]} for point in data["points"]]
    names = ("start", "end", "events", "batch_events", "status")
    table = pa.Table.from_pylist(points) if points else pa.table({name: pa.nulls(0) for name in names})
    return ClientSeries(table, True, data["certificate"])


def _flat(point: Mapping[str, Any]) -> dict[str, Any]:
    times = {each: datetime.fromisoformat(point[each]) for each in ("start", "end")}
    return {**times, **{each: point[each] for each in ("events", "batch_events", "status")}}


def key_parameter(key: Key, columns: Sequence[str]) -> str | None:
    """A key in the form of `--key`. `columns`: those of the definition's key."""
    from tandem.schemas.errors import UserError
    from tandem.schemas.privacy.printable import json_text

    if key is None or isinstance(key, str):
        return key
    if isinstance(key, Mapping):
        if set(key) != set(columns):
            raise UserError(f"key {dict(key)}: its columns are {', '.join(columns) or 'none'}")
        key = [key[column] for column in columns]
    return json_text(list(key))


def _lacking(error: ModuleNotFoundError) -> LaunchError:
    return LaunchError(f"{error.name} isn't installed", "pip install 'tandem-beam[frames]'")
