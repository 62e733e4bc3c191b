"""Results are kept by case; tables and plots come from them, and the page's own words stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.drawing.tables import any_table
from benchmarks.flink import steady_rate
from benchmarks.measuring import results
from benchmarks.measuring.results import Row, load, machines, median, record, spread
from benchmarks.report import replaced

PLOTS = (
    "peers-clicks-1000000.svg",
    "peers-clicks-10000000.svg",
    "growth-events.svg",
    "growth-lanes.svg",
    "live-json-page-100000-600.svg",
    "firing.svg",
)

PAGE = """# Performance

Own words.

<!-- generated: machine -->
<!-- end: machine -->

<!-- generated: peers -->
old
<!-- end: peers -->

Why.

<!-- generated: peers-detail -->
<!-- end: peers-detail -->
<!-- generated: growth -->
<!-- end: growth -->
<!-- generated: live -->
<!-- end: live -->

<!-- generated: firing -->
<!-- end: firing -->
"""


def figures(*work: float, status: str = "right", why: str = "") -> dict[str, Any]:
    same = {name: list(work) for name in ("wall_s", "start_up_s", "work_s", "cpu_s", "peak_mb", "distinct_error")}
    return {"status": status, "why": why, **same}


def peer(engine: str, events: int, *work: float, form: str = "parquet", **more: str) -> Row:
    case: dict[str, str | int] = {"job": "clicks", "form": form, "events": events, "users": 100_000, "pages": 1_000}
    return Row({**case, "engine": engine}, figures(*work, **more))


def test_a_case_is_replaced_and_others_stay(tmp_path: Path) -> None:
    record("some", [Row({"a": 1}, {"x_s": [1.0]}), Row({"a": 2}, {"x_s": [2.0]})], folder=tmp_path)
    record("some", [Row({"a": 1}, {"x_s": [3.0]}), Row({"a": 3}, {"x_s": None})], folder=tmp_path)
    rows = load("some", folder=tmp_path)
    assert [(row.case, row.figures) for row in rows] == [
        ({"a": 1}, {"x_s": [3.0]}),
        ({"a": 2}, {"x_s": [2.0]}),
        ({"a": 3}, {"x_s": None}),
    ]
    assert all(row.measured_at and row.machine in machines("some", folder=tmp_path) for row in rows)
    assert load("other", folder=tmp_path) == []


def test_rows_of_another_machine_keep_its_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = results.machine()
    monkeypatch.setattr(results, "machine", lambda: {**here, "cpu": "Other"})
    record("some", [Row({"a": 1}, {})], folder=tmp_path)
    monkeypatch.setattr(results, "machine", lambda: here)
    record("some", [Row({"a": 2}, {})], folder=tmp_path)
    known = machines("some", folder=tmp_path)
    assert [known[row.machine]["cpu"] for row in load("some", folder=tmp_path)] == ["Other", here["cpu"]]
    record("some", [Row({"a": 1}, {})], folder=tmp_path)
    assert list(machines("some", folder=tmp_path).values()) == [here]


@pytest.mark.parametrize(
    ("figure", "middle", "wide"),
    [
        pytest.param([3.0, 1.0, 2.0], 2.0, 1.0, id="samples"),
        pytest.param([4.0], 4.0, None, id="one-sample"),
        pytest.param(5, 5.0, None, id="a-number"),
        pytest.param([], None, None, id="none-yet"),
        pytest.param("right", None, None, id="text"),
        pytest.param(None, None, None, id="nothing"),
    ],
)
def test_median_and_spread(figure: Any, middle: float | None, wide: float | None) -> None:
    assert (median(figure), spread(figure)) == (middle, wide)


def test_the_page_is_drawn_from_results(tmp_path: Path) -> None:
    rows = [
        peer("tandem", 1_000_000, 2.0, 3.0, 2.5),
        peer("polars", 1_000_000, 0.5),
        peer("beam", 1_000_000, 250.0),
        peer("duckdb", 1_000_000, status="WRONG", why="events of 1 answers"),
        peer("tandem", 10_000_000, 20.0),
        peer("polars", 10_000_000, 5.0),
    ]
    record("peers", rows, folder=tmp_path)
    point = peer("tandem", 1_000_000, 2.0), peer("tandem", 10_000_000, 20.0)
    record("growth", [Row({**row.case, "series": "events"}, row.figures) for row in point], folder=tmp_path)
    lanes = [peer("tandem", 1_000_000, work, form=f"journal-json{more}") for work, more in ((2.0, ""), (2.1, "-4"))]
    record("growth", [Row({**row.case, "series": "lanes"}, row.figures) for row in lanes], folder=tmp_path)
    record("live", [Row({"rate": 20_000}, {"p50_s": 0.8, "backlog": list(range(100))})], folder=tmp_path)
    sustained: dict[str, Any] = {"what": "sustained", "form": "json", "key": "page", "rate": 100_000, "seconds": 600}
    series: dict[str, Any] = {"at_s": list(range(20)), "backlog": list(range(20)), "live_mb": [100.0] * 20}
    record("live", [Row(sustained, {"freshness_p50_s": 0.75, **series})], folder=tmp_path)
    points = [Row({"open_keys": n, "changed": 1_000}, {"cpu_ms": 3.5}) for n in (10_000, 1_000_000)]
    record("firing", points, folder=tmp_path)
    page = tmp_path / "performance.md"
    page.write_text(PAGE)
    for _ in range(2):
        assert report.main([f"--results={tmp_path}", f"--page={page}"]) == 0
    text = page.read_text()
    assert "Own words." in text
    assert "\nWhy.\n" in text
    assert "old" not in text
    assert "| Polars | 0.50 (0.2x) |" in text
    assert "| idiomatic Beam (10 x its 1,000,000) | 2500.00 (1.2e+02x) |" in text
    assert "| DuckDB | WRONG |" in text
    assert "**WRONG**: events of 1 answers" in text
    assert "| Tandem | 2.50 | 40% |" in text
    assert "| Tandem | 4 | 2.10 |" in text
    assert "| 20000 | 0.8 |" in text
    assert "backlog" not in text
    assert "| sustained | json | page | 100000 | 600 | 0.75 |" in text
    for plot in PLOTS:
        assert f"(performance/{plot})" in text
        assert (tmp_path / "performance" / plot).read_text().startswith("<?xml")
    before = {path: path.read_bytes() for path in (tmp_path / "performance").iterdir()}
    report.main([f"--results={tmp_path}", f"--page={page}"])
    assert {path: path.read_bytes() for path in before} == before
    assert page.read_text() == text


def test_the_real_pages_have_a_place_for_everything() -> None:
    names = list[str]()
    text = "".join(page.read_text(encoding="utf-8") for page in report.pages(report.PAGE))
    replaced(text, lambda name: names.append(name) or "")
    found = "machine peers growth orders halves live firing journal queries windowed delivery flink peers-detail"
    assert " ".join(names) == found
    assert text.count("<!-- generated:") == len(names)


def test_the_page_in_full_is_drawn_too(tmp_path: Path) -> None:
    record("peers", [peer("tandem", 1_000_000, 2.0, 3.0, 2.5)], folder=tmp_path)
    page, in_full = tmp_path / "speed.md", tmp_path / "speed-in-full.md"
    for path in (page, in_full):
        path.write_text(PAGE)
    assert report.main([f"--results={tmp_path}", f"--page={page}"]) == 0
    assert in_full.read_text() == page.read_text()
    assert "| Tandem | 2.50 | 40% |" in in_full.read_text()


def test_sections_without_results_say_so() -> None:
    assert "Not measured yet." in replaced(PAGE, lambda name: "")
    assert any_table([]) == ""


@pytest.mark.parametrize(
    ("progress", "rate"),
    [
        pytest.param([(0, 0), (1, 100), (2, 200), (9, 900), (10, 1000)], 100, id="even"),
        pytest.param([(0, 0), (5, 200), (6, 500), (7, 800), (90, 1000)], 300, id="slow-start-and-end"),
        pytest.param([(0, 0), (1, 1000)], 0, id="too-fast-to-tell"),
    ],
)
def test_a_steady_rate_leaves_beginning_and_end_out(progress: list[tuple[float, int]], rate: int) -> None:
    assert steady_rate(progress, 1000) == rate
