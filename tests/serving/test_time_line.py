"""The time line of runs and publications."""

from __future__ import annotations

from typing import Any

from servers.web import Web

from tandem.serving.dashboard.time_line import WIDTH, time_line

HTML = {"accept": "text/html"}
HOUR = 3_600_000_000


def test_marks_lie_where_their_times_do_and_can_be_seen() -> None:
    live = [
        {"run": "2", "started_at": 4 * HOUR, "updated_at": 8 * HOUR},
        {"run": "1", "started_at": 0, "updated_at": HOUR},
    ]
    found = time_line(live, [{"id": "b", "created_at": 8 * HOUR}], [(1, 4 * HOUR)])
    assert found is not None
    assert (found.start, found.end, found.rows) == ("1970-01-01T00:00:00Z", "1970-01-01T08:00:00Z", 4)
    places = {mark.text.partition(":")[0]: (mark.row, mark.x, mark.width) for mark in found.marks}
    assert places == {
        "live run 2": (0, 498.0, 498.0),
        "live run 1": (1, 0.0, 124.5),
        "batch run b": (2, 996.0, 4),
        "publication 1": (3, 498.0, 4),
    }
    assert all(mark.x + mark.width <= WIDTH for mark in found.marks)


def test_one_instant_and_nothing_at_all() -> None:
    found = time_line([], [], [(1, 5)])
    assert found is not None
    assert [(mark.x, mark.width) for mark in found.marks] == [(0.0, 4)]
    assert time_line([], [], []) is None


def test_the_page_of_runs_has_it(web: Web, orders: Any) -> None:
    page = web.get("/definitions/orders/runs", headers=HTML).text
    line = page[page.index('class="timeline"') :].partition("</svg>")[0]
    assert [line.count(f'class="{kind}"') for kind in ("live", "batch", "published")] == [1, 1, 1]
    assert "style=" not in line
    assert "publication 1" in line
