"""The live benchmark in small, by real processes: it works, and finds a wrong answer. No time is asserted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import live
from benchmarks.live_runs import scene as scenes
from benchmarks.live_runs.live_traffic import BATCH, CopyQueue, prepare
from benchmarks.parts import journal

pytestmark = pytest.mark.xdist_group("processes")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["json", "avro"])
def test_events_are_served_and_answers_checked(form: str) -> None:
    with scenes.scene(scenes.Scene, form=form) as scene:
        figures = live.measure(scene, 5_000, 8)
        assert figures["events"] >= 40_000
        assert figures["freshness_p50_s"] is None or figures["freshness_p50_s"] > 0
        with np.load(scene.folder / "counts.npz") as archive:
            counts = archive["counts"].copy()
            counts[0, 0] += 1
            np.savez(scene.folder / "counts.npz", starts=archive["starts"], counts=counts)
        with pytest.raises(AssertionError, match="1 answers differ"):
            live.check(scene, "broken on purpose")


@pytest.mark.parametrize("key", ["page", "user_id"])
def test_requests_are_made_new(key: str) -> None:
    """Only ids, times and users change; every other byte stays."""
    from google.pubsub_v1.types import PublishRequest

    (request,) = prepare("projects/p/topics/t", "json", key, 1)
    random, seen = np.random.default_rng(1), set()
    for number in (0, 1, 0xFFFFFFFF):
        now = 1_795_000_000_000_000 + number
        times = request.renew(number, now, random)
        parsed = PublishRequest.pb().FromString(request.data.tobytes())
        events = [json.loads(message.data) for message in parsed.messages]
        assert [event["event_time"] for event in events] == times.tolist()
        if key == "user_id":
            assert [event["user_id"] - 1_100_000 for event in events] == request.keys.tolist()
        else:
            assert [int(event["page"][6:]) for event in events] == request.keys.tolist()
        seen |= {event["event_id"] for event in events}
    assert len(seen) == 3 * BATCH


def test_copies_are_sent_again_byte_for_byte() -> None:
    from google.pubsub_v1.types import PublishRequest

    requests = prepare("projects/p/topics/t", "avro", "page", 2)
    copies, sent = CopyQueue("projects/p/topics/t", delay=1.0), set()
    random = np.random.default_rng(1)
    for number in range(50):
        request = requests[number % 2]
        request.renew(number, 1_795_000_000_000_000, random)
        sent |= {message.data for message in PublishRequest.pb().FromString(request.data.tobytes()).messages}
        copies.add(request, float(number))
    assert copies.due(49.9) is None
    again = copies.due(50.0)
    assert again is not None
    found = [message.data for message in PublishRequest.pb().FromString(again).messages]
    assert len(found) == BATCH
    assert set(found) <= sent
    assert copies.due(1_000.0) is None


@pytest.mark.parametrize("form", ["json", "avro"])
def test_the_journal_is_written_and_read_back(form: str) -> None:
    figures = journal.measure(form, journal.responses(form, 3_000), 2)
    assert min(figures.values()) >= 0
    assert figures["written_per_cpu_s"] > 0
