"""Answers, series, windows and the stream of all, from both views."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tandem.schemas.errors import StoreError, UserError
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer, series, window
from tandem.views.report import status_report
from tandem.views.windows import window_at

T = 60_000_000


@pytest.fixture
def mixed(bench: Any) -> Any:
    """Batch to generation 1, live generation 2; keys a and é over tiles 0 to 4."""
    bench.store.live.start("v1", "L1", journal="j")
    bench.live("L1", 1, "a", 1)
    bench.live("L1", 2, "a", 2)
    bench.live("L1", 2, "a", 4, tile=3 * T, lane="b")
    bench.live("L1", 2, "é", 8, tile=4 * T, lane="c")
    bench.batch("B1", 1, [(1, "a", 1)])
    bench.store.publishing.publish("orders", "v1", "B1", "L1")
    bench.store.live.set_watermark("v1", "L1", 3 * T)
    return bench


def test_a_window_merges_tiles_and_views(mixed: Any) -> None:
    found = answer(mixed.store, mixed.compiled, "a", 0, 4 * T)
    assert found.results == {"n": 7, "total": 70}
    certificate = found.certificate
    assert (certificate.events, certificate.batch_events, certificate.live_events) == (7, 1, ((2, 6),))
    assert (certificate.boundary, certificate.batch_run, certificate.live_run) == (1, "B1", "L1")
    assert certificate.watermark == 3 * T
    assert certificate.live_share == pytest.approx(6 / 7)


@pytest.mark.parametrize(
    ("start", "end", "n"),
    [
        pytest.param(0, T, 3, id="the tile"),
        pytest.param(0, 3 * T, 3, id="ends are exclusive"),
        pytest.param(T, 4 * T, 4, id="starts are inclusive"),
        pytest.param(T, 3 * T, 0, id="nothing in it"),
        pytest.param(-T, 0, 0, id="before 1970"),
    ],
)
def test_bounds(mixed: Any, start: int, end: int, n: int) -> None:
    assert answer(mixed.store, mixed.compiled, "a", start, end).results["n"] == n


def test_an_unknown_key_has_the_results_of_no_events(mixed: Any) -> None:
    found = answer(mixed.store, mixed.compiled, "nobody", 0, T)
    assert (found.results, found.certificate.events) == ({"n": 0, "total": 0}, 0)


@pytest.mark.parametrize(
    ("start", "end", "step", "message"),
    [
        pytest.param(0, T + 1, None, "end 60000001 isn't a multiple of the tile", id="end within a tile"),
        pytest.param(1, T, None, "start 1 isn't a multiple", id="start within a tile"),
        pytest.param(T, T, None, "found start 60000000 and end 60000000", id="empty"),
        pytest.param(0, 3 * T, 2 * T, "180000000 microseconds aren't a whole", id="broken step"),
        pytest.param(0, T, T // 2, "step 30000000 isn't a multiple", id="step within a tile"),
        pytest.param(0, T, 0, "whole number of steps of 0", id="no step"),
    ],
)
def test_other_bounds_are_refused(mixed: Any, start: int, end: int, step: int | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        series(mixed.store, mixed.compiled, "a", start, end, step)
    if step is None:
        with pytest.raises(UserError, match=message):
            answer(mixed.store, mixed.compiled, "a", start, end)


def test_a_series_has_every_step_with_a_status_of_its_own(mixed: Any) -> None:
    mixed.store.live.write_segments("v1", "L1", [mixed.Segment("L1/d", 1, 2, 1, 0, late=((T, 1),))])
    found = series(mixed.store, mixed.compiled, "a", -T, 4 * T)
    assert [(p.start, p.end, p.events, p.results["n"], str(p.status)) for p in found.points] == [
        (-T, 0, 0, 0, "FINAL"),
        (0, T, 3, 3, "PROVISIONAL"),
        (T, 2 * T, 0, 0, "PARTIAL"),
        (2 * T, 3 * T, 0, 0, "PROVISIONAL"),
        (3 * T, 4 * T, 4, 4, "PROVISIONAL"),
    ]
    assert (found.certificate.status, found.certificate.pending_late) == ("PARTIAL", 1)


def test_steps_of_several_tiles(mixed: Any) -> None:
    found = series(mixed.store, mixed.compiled, "a", 0, 4 * T, 2 * T)
    assert [(p.start, p.results["total"]) for p in found.points] == [(0, 30), (2 * T, 40)]


@pytest.mark.parametrize(
    ("at", "size", "every", "span"),
    [
        pytest.param(90, 60, None, (60, 120), id="fixed"),
        pytest.param(60, 60, None, (60, 120), id="fixed, on its start"),
        pytest.param(-1, 60, None, (-60, 0), id="fixed, before 1970"),
        pytest.param(95, 60, 20, (40, 100), id="sliding"),
        pytest.param(100, 60, 20, (60, 120), id="sliding, on an end"),
        pytest.param(95, 60, 60, (60, 120), id="sliding by its size is fixed"),
    ],
)
def test_the_current_window(at: int, size: int, every: int | None, span: tuple[int, int]) -> None:
    assert window_at(at, size, every) == span


@pytest.mark.parametrize(("size", "every"), [(0, None), (60, 0), (-60, 60)])
def test_windows_of_no_size_are_refused(size: int, every: int | None) -> None:
    with pytest.raises(UserError, match="positive size"):
        window_at(0, size, every)


def test_a_window_is_the_answer_over_its_span(mixed: Any) -> None:
    found = window(mixed.store, mixed.compiled, "a", 3 * T + 5, 2 * T, T)
    assert (found.start, found.end, found.results["n"]) == (2 * T, 4 * T, 4)


def test_all_answers_stream_in_the_order_of_key_bytes_and_time(mixed: Any) -> None:
    rows = [(r.key, r.start, r.end, r.results["n"], r.batch_events) for r in all_answers(mixed.store, mixed.compiled)]
    assert rows == [("a", 0, T, 3, 1), ("a", 3 * T, 4 * T, 4, 0), ("é", 4 * T, 5 * T, 8, 0)]
    by_two = [(r.key, r.start, r.events) for r in all_answers(mixed.store, mixed.compiled, 2 * T)]
    assert by_two == [("a", 0, 3), ("a", 2 * T, 4), ("é", 4 * T, 8)]


def test_all_answers_merge_in_pieces(mixed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(all_answers(mixed.store, mixed.compiled))
    monkeypatch.setattr("tandem.views.answers.all_steps._MERGE_AT_ONCE", 1)
    assert list(all_answers(mixed.store, mixed.compiled)) == whole


def test_all_answers_refuse_a_broken_step_at_once(mixed: Any) -> None:
    with pytest.raises(UserError, match="step 7 isn't a multiple"):
        all_answers(mixed.store, mixed.compiled, 7)


def test_all_answers_of_nothing_are_none(bench: Any) -> None:
    assert list(all_answers(bench.store, bench.compiled)) == []


def test_all_answers_are_of_one_instant(mixed: Any) -> None:
    rows = all_answers(mixed.store, mixed.compiled)
    first = next(rows)
    mixed.live("L1", 3, "zebra", 1)
    assert [first.key, *(row.key for row in rows)] == ["a", "a", "é"]


def test_damaged_states_are_named(mixed: Any) -> None:
    with mixed.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE batch_states SET states = x'01'")
    with pytest.raises(
        StoreError, match=r"batch states \(definition 1, key a, tile .* is damaged: its checksum differs"
    ):
        answer(mixed.store, mixed.compiled, "a", 0, T)


def test_the_report_is_plain_data_of_everything(mixed: Any) -> None:
    mixed.store.live.write_segments("v1", "L1", [mixed.Segment("L1/d", 1, 2, 4, 2, 1, 1)])
    report = status_report(mixed.store, "orders")
    assert json.loads(json.dumps(report))["served"]["batch_run"] == "B1"
    (live,) = report["live_runs"]
    assert live["residues"] == {2: 2}
    assert live["generations"][2]["received"] == 18
    assert live["watermark"] == 3 * T
    assert report["dead_letters"] == {"open": 1}
    assert [run["id"] for run in report["batch_runs"]] == ["B1"]
    assert report["batch_residues"] == {}


def test_the_report_of_nothing(bench: Any) -> None:
    assert status_report(bench.store, "orders")["served"] is None
