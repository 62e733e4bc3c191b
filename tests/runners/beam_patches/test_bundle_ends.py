"""The end of a bundle doesn't wait for a sampler that sleeps for 200 ms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from apache_beam.runners.worker.statesampler import DEFAULT_SAMPLING_PERIOD_MS, StateSampler
from apache_beam.utils.counters import CounterFactory

from tandem.runners.beam_patches import bundle_ends


@pytest.fixture(autouse=True)
def _as_beam_has_it() -> Iterator[None]:
    before = StateSampler.__init__.__defaults__
    StateSampler.__init__.__defaults__ = (DEFAULT_SAMPLING_PERIOD_MS,)
    yield
    StateSampler.__init__.__defaults__ = before


def sampler() -> StateSampler:
    return StateSampler("of-a-bundle", CounterFactory())


def test_beams_own_period_is_long() -> None:
    assert sampler().sampling_period_ms == 200, "Beam has another period: look whether this is still needed"


@pytest.mark.parametrize("times", [1, 2], ids=["once", "again"])
def test_bundles_are_sampled_often(times: int) -> None:
    for _ in range(times):
        bundle_ends.apply()
    assert sampler().sampling_period_ms == 10


def test_who_asks_for_a_period_gets_it() -> None:
    bundle_ends.apply()
    assert StateSampler("of-a-bundle", CounterFactory(), 50).sampling_period_ms == 50


def test_a_period_that_somebody_else_set_stays() -> None:
    StateSampler.__init__.__defaults__ = (77,)
    bundle_ends.apply()
    assert sampler().sampling_period_ms == 77
