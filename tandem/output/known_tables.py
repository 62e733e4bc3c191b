"""Prints what rules would have done with what was known then, as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tandem.output.backtest_tables import judged_data
from tandem.pipelines.console.tables import Column, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tandem.pipelines.backtest.as_known import AsKnown, Lateness
    from tandem.pipelines.backtest.known import KnownHistory

__all__ = ["known_data", "known_text", "print_known"]


def known_text(found: Sequence[KnownHistory], *, served: bool) -> str:
    """The number of late events, and the substitute for unknown times."""
    late = ", ".join(f"{each.late:,} of {each.amount.counted:,} events came after their window" for each in found)
    batch = "as it was served then" if served else "up to the generation before, as if each had been served at once"
    known = found[0] if found else None
    if known is None or not known.without_time:
        return f"as known: {late}; batch {batch}"
    return (
        f"as known: {late}; batch {batch}; {known.without_time:,} of {known.segments:,} segments don't say when they "
        "were written: their newest publish time stands for it"
    )


def print_known(to: Console, compared: Sequence[Lateness]) -> None:
    """A line for each rule."""
    columns = [Column("rule", keep=True)]
    names = ("alerts then", "alerts now", "in both", "missed by lateness", "withdrawn")
    columns += [Column(name, right=True, keep=True) for name in names]
    rows = [
        (each.rule, *(f"{n:,}" for n in (each.then, each.now, each.both, each.missed, each.withdrawn)))
        for each in compared
    ]
    print_table(to, columns, rows)


def known_data(found: Sequence[AsKnown], compared: Sequence[Lateness], columns: Sequence[str]) -> list[dict[str, Any]]:
    """The alerts of each rule as of then, and the cost of lateness."""
    of_rule = {each.rule: each for each in compared}
    return [
        {**data, "lateness": asdict(of_rule[data["rule"]]), "late_events": each.known.late}
        for each in found
        for data in judged_data(each.judged, (), columns)
    ]
