"""The demo's oracle against a plain loop over the same rows, written another way."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections import Counter, defaultdict
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.flights.oracle import Expected, Oracle, Windows, raw_csv, rounded_root

HOUR = 3_600_000_000
DAY = 24 * HOUR


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every 80th flight of the year, and all of a day with many cancelled ones, as a CSV of the same shape."""
    folder = tmp_path_factory.mktemp("raw")
    with raw_csv(folder).open(encoding="utf-8") as source:
        header, *lines = source.readlines()
    blizzard = [line for line in lines if line.startswith("2013,2,8,")]
    path = folder / "sample.csv"
    path.write_text("".join([header, *lines[::80], *(line for line in blizzard if line not in set(lines[::80]))]))
    return path


def naive(path: Path, windows: Windows) -> dict[tuple[str, int], Expected]:
    """One flight at a time, with exact fractions."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source):
            hour = datetime.strptime(row["time_hour"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            time = int(hour.timestamp()) * 1_000_000 + int(row["minute"]) * 60_000_000
            start = windows.shift + math.floor((time - windows.shift) / windows.size) * windows.size
            key = json.dumps([row["origin"], row["carrier"]], separators=(",", ":"))
            groups[key, start].append({**row, "time": time})
    return {place: _naive_answer(flights) for place, flights in groups.items()}


def _naive_answer(flights: list[dict[str, Any]]) -> Expected:
    def day(flight: dict[str, Any]) -> str:
        return f"{flight['year']}-{int(flight['month']):02}-{int(flight['day']):02}"

    def place(flight: dict[str, Any]) -> tuple[int, str]:
        identity = [day(flight), flight["carrier"], int(flight["flight"]), flight["origin"]]
        return flight["time"], json.dumps(identity, separators=(",", ":"))

    known = sorted(int(flight["dep_delay"]) for flight in flights if flight["dep_delay"] not in ("", "NA"))
    flown = [flight for flight in flights if flight["air_time"] not in ("", "NA")]
    planes = {flight["tailnum"] for flight in flights} - {"", "NA"}
    in_order = sorted(flights, key=place)
    destinations = sorted(Counter(flight["dest"] for flight in flights).items(), key=lambda item: (-item[1], item[0]))
    left = [flight for flight in flights if flight["dep_time"] not in ("", "NA")]
    exact = {
        "flights": len(flights),
        "departed": len(known),
        "on_time": sum(int(flight["dep_delay"]) <= 15 for flight in left),
        "distance": float(sum(int(flight["distance"]) for flight in flights)),
        "earliest": known[0] if known else None,
        "latest": known[-1] if known else None,
        "top_speed": max((int(f["distance"]) / (int(f["air_time"]) / 60) for f in flown), default=None),
        "planes": len(planes),
        "destinations": [{"value": name, "count": count} for name, count in destinations[:5]],
        "first_flight": int(in_order[0]["flight"]),
        "last_flight": int(in_order[-1]["flight"]),
        "mean_delay": float(Fraction(sum(known), len(known))) if known else None,
        "delay_deviation": statistics.stdev([Fraction(value) for value in known]) if len(known) > 1 else None,
    }
    ranks = {q: math.ceil(Fraction(q) * len(known)) for q in ("0.5", "0.9", "0.99")}
    return Expected(exact, len(planes), {q: known[rank - 1] if known else None for q, rank in ranks.items()})


@pytest.mark.parametrize(
    "windows",
    [
        pytest.param(Windows("tile", HOUR), id="hour"),
        pytest.param(Windows("day", DAY), id="day"),
        pytest.param(Windows("three_hours", 3 * HOUR, 2 * HOUR, True), id="3h-shifted"),
        pytest.param(Windows("four_weeks", 28 * DAY, 5 * DAY, True), id="28d-shifted"),
    ],
)
def test_oracle_equals_a_plain_loop(sample: Path, windows: Windows) -> None:
    found = {(key, start): answer for key, start, answer in Oracle(sample).answers(windows)}
    wanted = naive(sample, windows)
    assert found.keys() == wanted.keys()
    for place, answer in wanted.items():
        assert found[place] == answer, place


def test_all_flights_are_there(tmp_path: Path) -> None:
    oracle = Oracle(raw_csv(tmp_path))
    assert oracle.flights == 336_776
    days = list(oracle.answers(Windows("day", DAY)))
    assert sum(answer.exact["flights"] for _, _, answer in days) == 336_776
    assert sum(answer.exact["flights"] - answer.exact["departed"] for _, _, answer in days) == 8_255


def test_first_end_leaves_out_windows_that_end_before(sample: Path) -> None:
    oracle, windows = Oracle(sample), Windows("day", DAY)
    every = {start for _, start, _ in oracle.answers(windows)}
    border = sorted(every)[100]
    assert {start for _, start, _ in oracle.answers(windows, border)} == {s for s in every if s + DAY > border}


@given(st.integers(0, 1 << 70), st.integers(1, 1 << 40))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_rounded_root_is_the_nearest_double(numerator: int, denominator: int) -> None:
    root = rounded_root(numerator, denominator)
    exact = Fraction(numerator, denominator)
    below, above = Fraction(math.nextafter(root, -1)), Fraction(math.nextafter(root, math.inf))
    middle_below, middle_above = (Fraction(root) + below) / 2, (Fraction(root) + above) / 2
    assert exact <= middle_above**2
    assert middle_below <= 0 or exact >= middle_below**2
