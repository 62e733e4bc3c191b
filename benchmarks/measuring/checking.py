"""Compares an engine's answers with an oracle: an exact statement of DuckDB over the Parquet files.

The oracle's sums are exact, rounded once: amounts have two decimals, so an amount times 2^60 is a whole number that
fits 128 bits, and so is the sum of 100 million of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import polars as pl

from benchmarks.measuring.jobs import MINUTE

__all__ = ["Verdict", "compare", "oracle", "read_answers"]

RELATIVE: Final = 1e-9
"""The allowed relative error of a sum or mean in floating point."""
_DEVIATIONS: Final = 6
"""The allowed error of one estimate in standard errors: among a million normal ones, none is expected beyond it."""
_BITS: Final = 60
_FEW: Final = 30


@dataclass(frozen=True)
class Verdict:
    """The first wrong answer, if there is one."""

    wrong: str | None
    distinct_error: float
    """Root mean square of the relative errors of distinct users, over keys and minutes with 30 of them or more."""


def oracle(keys: Sequence[str], files: Sequence[Path]) -> pl.DataFrame:
    """The exact answers: keys, tile (microseconds), events, amount, least, most, mean, users (exactly counted)."""
    names = ", ".join(keys)
    once = ", ".join(
        f"any_value({name}) AS {name}" for name in dict.fromkeys(("event_time", *keys, "amount", "user_id"))
    )
    found = duckdb.sql(
        f"""
        SELECT {names}, epoch_us(event_time) // {MINUTE} * {MINUTE} AS tile, count(*) AS events,
            sum((amount * {1 << _BITS}.0)::HUGEINT)::VARCHAR AS whole, min(amount) AS least,
            max(amount) AS most, count(DISTINCT user_id) AS users
        FROM (SELECT event_id, {once} FROM read_parquet({[str(file) for file in files]}) GROUP BY event_id)
        GROUP BY {names}, tile
        """
    )
    assert found is not None
    rest = pl.DataFrame(found.pl())
    columns = ", ".join([*keys, "tile", "events", "least", "most", "users"])
    events, wholes = rest["events"].to_list(), map(int, rest["whole"])
    # Python divides whole numbers with one rounding.
    pairs = [(whole / (1 << _BITS), whole / (count << _BITS)) for whole, count in zip(wholes, events, strict=True)]
    amounts, means = np.array(pairs).T if pairs else (np.empty(0), np.empty(0))
    return rest.select(columns.split(", ")).with_columns(amount=pl.Series(amounts), mean=pl.Series(means))


def read_answers(folder: Path) -> pl.DataFrame:
    """The answers in a peer's folder: Parquet or JSON Lines, under any file names."""
    parquet = sorted(folder.glob("*.parquet"))
    if parquet:
        return pl.read_parquet(parquet)
    lines = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    if not lines:
        raise FileNotFoundError("it left no answers")
    return pl.concat([pl.read_ndjson(path, infer_schema_length=None) for path in lines])


def compare(
    answers: pl.DataFrame, truth: pl.DataFrame, keys: Sequence[str], *, error: float, exact_sums: bool
) -> Verdict:
    """Compare answers with the oracle's; `error` is the relative standard error of distinct users, 0 for exact.

    Exact sums and means must equal the oracle's in all bits; others may be off by 1e-9 of the value.
    """
    on = [*keys, "tile"]
    theirs = answers.select(*keys, _tile(answers).alias("tile"), *(f"{name}" for name in
                            ("events", "amount", "least", "most", "mean", "users")))  # fmt: skip
    if theirs.select(on).is_duplicated().any():
        return Verdict("a key and minute has two answers", 0.0)
    both = truth.join(theirs, on=on, how="inner", suffix="_")
    if not both.height == truth.height == theirs.height:
        counts = (
            f"{theirs.height:,} answers, of which {both.height:,} are of the {truth.height:,} right keys and minutes"
        )
        return Verdict(counts, 0.0)
    estimates, users = both["users_"].cast(pl.Float64).to_numpy(), both["users"].cast(pl.Float64).to_numpy()
    many = users >= _FEW
    root = float(np.sqrt(np.mean((estimates[many] / users[many] - 1) ** 2))) if many.any() else 0.0
    return Verdict(_first_wrong(both, on, error, exact_sums), root)


def _tile(answers: pl.DataFrame) -> pl.Expr:
    """The start of the minute in microseconds, from each of the forms that engines write."""
    kind, tile = answers.schema["tile"], pl.col("tile")
    if isinstance(kind, pl.Datetime):
        return tile.dt.replace_time_zone(None).dt.epoch("us") if kind.time_zone is None else tile.dt.epoch("us")
    return tile.cast(pl.Int64)


def _first_wrong(both: pl.DataFrame, on: list[str], error: float, exact_sums: bool) -> str | None:
    for name in ("events", "least", "most", "amount", "mean", "users"):
        true, theirs = both[name].cast(pl.Float64).to_numpy(), both[f"{name}_"].cast(pl.Float64).to_numpy()
        allowed = np.zeros(len(true))
        if name in ("amount", "mean") and not exact_sums:
            allowed = RELATIVE * np.abs(true)
        if name == "users" and error:
            allowed = _DEVIATIONS * error * true + 2
        bad = np.flatnonzero(~(np.abs(theirs - true) <= allowed))
        if len(bad):
            row = both.row(int(bad[0]), named=True)
            where = ", ".join(f"{one} {row[one]}" for one in on)
            return f"{name} of {len(bad):,} answers, at {where}: {row[f'{name}_']!r} instead of {row[name]!r}"
    return None
