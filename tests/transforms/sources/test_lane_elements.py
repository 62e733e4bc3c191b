"""Elements of lanes: bytes that never change, and key groups that spread, as Flink itself computes them."""

from __future__ import annotations

import pickle

import pytest
from apache_beam import coders

import tandem.transforms.savepoints  # noqa: F401  says how sources are pickled
from tandem.journal.broker.pubsub import PubSubConfig
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.runs.manifests import RunManifest
from tandem.transforms.sources import lane_elements
from tandem.transforms.sources.followed import FollowConfig, FollowedSource
from tandem.transforms.sources.journaled import JournaledSource
from tandem.transforms.sources.lane_elements import KEY_GROUPS, ElementCoder, ElementSource, elements


def key_group(element: bytes) -> int:
    """Flink's key group of an element, as Beam gives it to Flink: behind its length."""
    return lane_elements._group(lane_elements._hash(lane_elements._length(len(element)) + element))


def lanes(number: int) -> list[ElementSource]:
    run = RunManifest("000001-ab", 1, number, "s", 1, 0, "ab")
    whole = JournaledSource("/journal", run, PubSubConfig("s", wait=0.5), LaneConfig({"source": 1}), ())
    return elements(whole.split(20))


@pytest.mark.parametrize(
    ("element", "group"),
    [
        pytest.param(b"", 123, id="nothing"),
        pytest.param(b"a", 75, id="one byte"),
        pytest.param(b"lane", 49, id="some bytes"),
        pytest.param(bytes([255, 0, 128, 127]), 106, id="negative ones"),
        pytest.param(bytes(300), 121, id="a length of two bytes"),
    ],
)
def test_key_groups_are_flinks(element: bytes, group: int) -> None:
    """Computed with Flink 1.19.3: KeyGroupRangeAssignment.assignToKeyGroup(ByteBuffer, 128)."""
    assert key_group(element) == group


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7, 16, 100])
@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_lanes_are_shared_evenly(number: int, workers: int) -> None:
    groups = [key_group(lane.element or b"") for lane in lanes(number)]
    shares = [0] * workers
    for group in groups:
        shares[group * workers // KEY_GROUPS] += 1
    assert max(shares) - min(shares) <= 1


FOLLOWED = FollowedSource("/journal", FollowConfig("f-1", 0, {"source": 1}, 1), ())
SOURCES = [pytest.param(source, id=f"lane {n}") for n, source in enumerate(lanes(3))]


@pytest.mark.parametrize("source", [*SOURCES, pytest.param(elements([FOLLOWED])[0], id="followed")])
def test_an_element_keeps_its_bytes(source: ElementSource) -> None:
    coder = coders.registry.get_coder(type(source))
    assert isinstance(coder, ElementCoder)
    encoded = coder.encode(source)
    for _ in range(3):
        again = coder.decode(encoded)
        assert again == source
        assert coder.encode(again) == encoded
        # as it lies in a restriction: without the bytes, so that they aren't there twice
        assert pickle.loads(pickle.dumps(again)) == source
        assert len(pickle.dumps(again)) < len(encoded) + 100


def test_a_lane_is_not_split_again() -> None:
    for lane in lanes(3):
        assert isinstance(lane, JournaledSource)
        assert lane.split(20) == [lane]
    assert [lane.number for lane in lanes(3) if isinstance(lane, JournaledSource)] == [0, 1, 2]
