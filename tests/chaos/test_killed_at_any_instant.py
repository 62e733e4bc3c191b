"""Guarantee 3: killed at any instant, any number of times, nothing is lost, doubled or taken back.

The publisher is Pub/Sub's own client, and the expected answers are computed from what it sent by a few lines of plain
Python. `make chaos` runs the long form; TANDEM_KILL_SEED chooses other instants.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from processes.sent_results import Subscriber, clicks_with_results
from processes.trials import Kill, Trial, restart_times, trial_of
from samples.click_traffic import CLICKS, traffic
from servers.object_servers import SECRET, server_of

from tandem.schemas.failpoints import FAILPOINTS

SEED = int(os.environ.get("TANDEM_KILL_SEED", "20130101"))

pytestmark = [pytest.mark.xdist_group("kills"), pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

FEW = [Kill("after-acknowledge", 2), Kill("mid-upsert", 5), Kill("after-pointer", 1)]
"""Failpoints of the short form, one of each kind: journal, transaction, pointer."""

ONCE = {"after-manifest", "before-pointer", "after-pointer", "after-publish"}
"""A start of live has one manifest, and is served once."""
NEVER = {"receipt", "layer-written", "files-swapped", "file-removed"}
"""Of live: only a repair writes receipts, and only batch and pruning deal with files."""
ALL = [Kill(name, nth) for name in FAILPOINTS if name not in NEVER for nth in ((1,) if name in ONCE else (1, 2))]
BACKFILL_INSTANTS = (
    "mid-upsert:1",
    "before-commit:3",
    "after-commit:3",
    "before-pointer:1",
    "after-pointer:1",
    "after-publish:1",
    "layer-written:1",
)
OF_BACKFILLS = [Kill(fresh=True, backfill=instant) for instant in BACKFILL_INSTANTS]


@pytest.fixture
def trial(stage: Any, polling: Any) -> Trial:
    """A trial on a stage of its own."""
    return Trial(stage, polling(stage.view(CLICKS)))


def plan_of(chance: random.Random, number: int, others: Sequence[Kill] = ()) -> list[Kill]:
    """Others, and seeded kills while it starts, while it serves, and while a backfill reads or publishes."""
    kills = [*others]
    for at in range(number - 1):
        fresh = chance.random() < 0.5
        after = chance.uniform(0, 3) if fresh else chance.uniform(0.2, 6)
        kills.append(Kill(fresh=fresh, after=after, backfill=("during", "killed", "")[at % 3]))
    chance.shuffle(kills)
    # not at the very beginning, so that it has something to count
    kills.insert(len(kills) // 2, Kill(fresh=True, after=chance.uniform(0, 3), backfill="first"))
    return kills


def check(
    trial: Trial,
    number: int,
    rate: float,
    plan: list[Kill],
    chance: random.Random,
    capsys: pytest.CaptureFixture[str],
    *,
    idle: bool = True,
) -> list[bytes]:
    """Run the plan; nothing is wrong at the end. What was published."""
    messages = traffic(chance, number)
    assert trial_of(trial, messages, rate, plan, chance, idle=idle) == {}
    with capsys.disabled():
        print(
            f"\n{len(plan)} kills, {len(messages):,} messages, "
            f"{trial.stage.view(CLICKS).received_by_batch():,} with redeliveries, "
            f"{trial.published} backfills published in between, {trial.refused} refused: "
            f"lost 0, twice 0, extra 0, falls 0 in {trial.poller.polls} polls; {restart_times(trial.restarts)}"
        )
    return messages


@pytest.fixture
def sending(stage: Any, polling: Any) -> Trial:
    """A trial whose results are sent to a topic."""
    definition = clicks_with_results(stage)
    return Trial(stage, polling(stage.view(definition)), definition=definition)


def check_results(trial: Trial, messages: Sequence[bytes]) -> None:
    """A subscriber's last revision of each window and key is what plain Python makes of the messages, and settled
    alerts are a backtest's.
    """
    subscriber = Subscriber(trial.stage)
    assert subscriber.wrong(trial.definition, messages) == {}
    assert subscriber.alerts


@pytest.mark.timeout(900)
def test_random_kills_and_a_few_failpoints(sending: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    """With results and alerts that are sent, by a launcher that dies with live."""
    chance = random.Random(SEED)
    check_results(sending, check(sending, 8_000, 150, plan_of(chance, 3, FEW), chance, capsys, idle=False))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("store", ["s3", "gcs", "s3-versity"])
def test_kills_with_journal_and_dead_letters_in_a_bucket(
    store: str,
    stage: Any,
    polling: Any,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = server_of(store, request, monkeypatch)
    stage.journal, stage.dead_letters = server.place(f"{stage.name}/journal"), server.place(f"{stage.name}/letters")
    trial, chance = Trial(stage, polling(stage.view(CLICKS))), random.Random(SEED)
    check(trial, 8_000, 150, plan_of(chance, 3, FEW), chance, capsys, idle=False)
    said = [tandem.said() for tandem in stage.running]
    assert not any(SECRET in text for text in said)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("run", [pytest.param(run, id=f"run {run}") for run in range(20)])
def test_ten_random_kills(trial: Trial, run: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The long form: 20 runs of 10 kills over 100,000 events each."""
    chance = random.Random(SEED + run)
    check(trial, 100_000, 1_000, plan_of(chance, 10), chance, capsys)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_failpoint(trial: Trial, capsys: pytest.CaptureFixture[str]) -> None:
    """Each instant of live, the first and the second time that it is reached, and those of backfills."""
    chance = random.Random(SEED)
    check(trial, 100_000, 300, plan_of(chance, 2, [*ALL, *OF_BACKFILLS]), chance, capsys)
