"""The status of an answer, case by case, and the certificate's JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tandem.schemas.certificate import Certificate, Facts, Status, judge, time_text

SETTLED = Facts(
    end=600,
    lateness=100,
    published=True,
    batch=True,
    live=True,
    boundary=4,
    watermark=700,
    events=10,
    live_events=0,
    pending_late=0,
    dead_letters=0,
    in_flight=0,
    residue=0,
    complete_to=600,
)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        pytest.param({}, Status.FINAL, None, id="batch alone, watermark past the lateness"),
        pytest.param({"events": 0}, Status.FINAL, None, id="no events at all"),
        pytest.param({"live": False, "watermark": None, "boundary": 0}, Status.FINAL, None, id="files alone"),
        pytest.param(
            {"live": False, "watermark": None, "boundary": 0, "complete_to": 599},
            Status.PROVISIONAL,
            "the files are complete until 1970-01-01T00:00:00.000599Z",
            id="files that end before the window",
        ),
        pytest.param(
            {"live": False, "watermark": None, "boundary": 0, "complete_to": None},
            Status.PROVISIONAL,
            "the files don't say until when they are complete",
            id="files that say nothing",
        ),
        pytest.param(
            {"live": False, "watermark": None, "complete_to": 700}, Status.FINAL, None, id="the journal's lanes tell"
        ),
        pytest.param(
            {"live": False, "watermark": None, "complete_to": 699},
            Status.PROVISIONAL,
            "after 4 are not in it; up to there the watermark is",
            id="the journal's lanes tell too little",
        ),
        pytest.param({"watermark": 699, "complete_to": 9000}, Status.PROVISIONAL, "until", id="live goes first"),
        pytest.param({"missing": ("a", "b")}, Status.PARTIAL, "missing in batch: a, b", id="missing"),
        pytest.param({"missing": tuple("abcde")}, Status.PARTIAL, "a, b, c and 2 more", id="much is missing"),
        pytest.param({"published": False}, Status.PARTIAL, "nothing is published yet", id="nothing published"),
        pytest.param({"pending_late": 2}, Status.PARTIAL, "2 late events", id="late events"),
        pytest.param({"dead_letters": 1}, Status.PARTIAL, "1 dead letters", id="dead letters"),
        pytest.param({"residue": 3}, Status.PARTIAL, "residue of 3", id="residue of batch"),
        pytest.param({"pending_late": 2, "live_events": 5}, Status.PARTIAL, "5 of 10", id="late and live"),
        pytest.param({"live_events": 1}, Status.PROVISIONAL, "1 of 10 events come from live", id="live events"),
        pytest.param({"in_flight": 4}, Status.PROVISIONAL, "in flight: 4", id="in flight"),
        pytest.param({"batch": False}, Status.PROVISIONAL, "no batch run", id="live alone"),
        pytest.param({"watermark": 699}, Status.PROVISIONAL, "until", id="a microsecond before the lateness ends"),
        pytest.param({"watermark": None}, Status.PROVISIONAL, "no watermark", id="no watermark yet"),
        pytest.param(
            {"live": False, "watermark": None},
            Status.PROVISIONAL,
            "after 4",
            id="a journal without a live run",
        ),
    ],
)
def test_status_and_reason(changes: dict[str, int | bool | None], status: Status, reason: str | None) -> None:
    found, reasons = judge(replace(SETTLED, **changes))  # type: ignore[arg-type]
    assert found is status
    assert bool(reasons) is (status is not Status.FINAL)
    assert reason is None or any(reason in text for text in reasons), reasons


CERTIFICATE = Certificate(
    name="orders",
    version="v1",
    publication=3,
    boundary=4,
    batch_run="B2",
    live_run=None,
    watermark=None,
    events=10,
    batch_events=8,
    live_events=((5, 2),),
    pending_late=0,
    dead_letters=0,
    conflicts=1,
    in_flight=0,
    residue=0,
    status=Status.PROVISIONAL,
    reasons=("2 of 10 events come from live",),
)


def test_live_share() -> None:
    assert CERTIFICATE.live_share == 0.2


def test_live_share_of_no_events_is_zero() -> None:
    assert replace(CERTIFICATE, events=0, batch_events=0).live_share == 0.0


@pytest.mark.parametrize(
    ("time", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_500_000, "1970-01-01T00:00:01.500000Z"), (2**62, f"{2**62} us")],
)
def test_times_read_as_iso_8601(time: int, text: str) -> None:
    assert time_text(time) == text
