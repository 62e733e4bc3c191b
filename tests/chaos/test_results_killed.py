"""Guarantee 6: live and `tandem deliver`, killed twenty times, stopped and woken up, while a subscriber receives.

In between backfills are published or killed, the store is pruned, and an older publication is served again; at the end
another version is promoted, and the first one served again. The subscriber holds each revision against the laws, the
last one against plain Python over the messages, and settled alerts against a backtest of the journal. `make
kill-results`; TANDEM_KILL_SEED chooses other instants.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from processes.sent_results import Subscriber, clicks_with_results
from processes.stages import Stage, Tandem
from processes.trials import Kill, Trial, restart_times, trial_of
from samples.click_traffic import traffic

from tandem.schemas.failpoints import FAILPOINT_VARIABLE

SEED = int(os.environ.get("TANDEM_KILL_SEED", "20130101"))
KILLS = 20

pytestmark = [
    pytest.mark.xdist_group("kills"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.slow,
    pytest.mark.timeout(3600),
]

INSTANTS = ("results-drained:1", "results-drained:3", "before-commit:9", "after-commit:9", "mid-upsert:6")
"""At which a deliverer kills itself."""


@dataclass
class Beside:
    """What happens beside live: deliverers that are killed, kill themselves, or sleep over their lease; prune, and
    earlier publications.
    """

    stage: Stage
    definition: Path
    chance: random.Random
    happened: Counter[str] = field(default_factory=Counter)
    deliverers: list[Tandem] = field(default_factory=list)
    asleep: list[Tandem] = field(default_factory=list)
    woken: list[Tandem] = field(default_factory=list)

    def step(self) -> None:
        """Before each start of live."""
        for zombie in self.woken:
            zombie.kill()
        for sleeper in self.asleep:
            sleeper.signal_group(signal.SIGCONT)
            self.happened["a deliverer woke up"] += 1
        self.woken, self.asleep = self.asleep, []
        if self.deliverers:
            self._end(self.deliverers.pop(0))
        self.chance.choice([self.deliver, self.deliver, self.deliver_and_die, self.leave_it_to_live])()
        self.chance.choice([self.prune, self.roll_back, lambda: None])()

    def deliver(self) -> None:
        self.deliverers.append(self._start())

    def deliver_and_die(self) -> None:
        self.deliverers.append(self._start({FAILPOINT_VARIABLE: self.chance.choice(INSTANTS)}))

    def leave_it_to_live(self) -> None:
        self.happened["live delivers alone"] += 1

    def prune(self) -> None:
        self._run("prune", "clicks", "--keep", "3")

    def roll_back(self) -> None:
        view = self.stage.view(self.definition)
        known = view.store.publishing.publications("clicks")
        view.store.close()
        if known:
            self._run("roll-back", "clicks", str(self.chance.choice(known[:3]).ordinal))

    def end(self) -> None:
        """Nobody delivers any more; those who sleep wake up first."""
        for sleeper in self.asleep:
            sleeper.signal_group(signal.SIGCONT)
        for deliverer in (*self.asleep, *self.woken, *self.deliverers):
            deliverer.kill()

    def _start(self, env: dict[str, str] | None = None) -> Tandem:
        return self.stage.start("deliver", str(self.definition), "--every", "200ms", env=env)

    def _end(self, deliverer: Tandem) -> None:
        if deliverer.has_ended():
            assert deliverer.end() == -signal.SIGKILL, deliverer.said()
            self.happened["a deliverer killed itself"] += 1
            return
        if self.chance.random() < 0.4:
            deliverer.signal_group(signal.SIGSTOP)
            if self.stage.store_is_free():
                self.asleep.append(deliverer)
                self.happened["a deliverer slept"] += 1
                return
        # A process that sleeps within a transaction of SQLite holds up all others, and is named: that isn't tried here.
        deliverer.kill()
        self.happened["a deliverer was killed"] += 1

    def _run(self, *arguments: str) -> None:
        command = self.stage.start(*arguments)
        code = command.end()
        assert code in (0, 1, 2), command.said()
        assert "Traceback" not in command.said(), command.said()
        self.happened[f"{arguments[0]} {'done' if code == 0 else 'refused'}"] += 1


def plan_of(chance: random.Random) -> list[Kill]:
    """Most after a fresh answer, while results are made of it; some beside a backfill, which may be killed too, three
    after one that was published.
    """
    kills = [
        Kill(fresh=at % 4 != 0, after=chance.uniform(0, 4), backfill=("", "during", "", "killed")[at % 4])
        for at in range(KILLS - 3)
    ]
    for at in (5, 11, 17):  # without one now and then each run would have all events since the first to catch up on
        kills.insert(at, Kill(fresh=True, after=1.0, backfill="first"))
    return kills


def with_another_measure(definition: Path) -> Path:
    """The next version."""
    other = definition.with_name("clicks-2.yaml")
    text = definition.read_text(encoding="utf-8")
    other.write_text(text.replace("  clicks: count\n", "  clicks: count\n  total: {sum: amount}\n"), encoding="utf-8")
    return other


def done(stage: Stage, *arguments: str) -> None:
    command = stage.start(*arguments)
    assert command.end() == 0, command.said()


def test_twenty_kills_while_results_are_received(
    stage: Stage, polling: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    chance, definition = random.Random(SEED), clicks_with_results(stage)
    trial = Trial(stage, polling(stage.view(definition)), definition=definition)
    beside, subscriber = Beside(stage, definition, chance), Subscriber(stage)
    messages = traffic(chance, 30_000)
    assert trial_of(trial, messages, 150, plan_of(chance), chance, between=beside.step) == {}
    beside.end()
    assert subscriber.wrong(definition, messages) == {}
    settled = subscriber.alerts
    assert settled > 50
    other = with_another_measure(definition)
    done(stage, "backfill", "--definition", str(other), "--no-publish")
    done(stage, "promote", str(other))
    dies = stage.start("deliver", str(other), env={FAILPOINT_VARIABLE: "results-drained:1"})
    assert dies.end() == -signal.SIGKILL, dies.said()
    assert subscriber.wrong(other, messages) == {}
    view = stage.view(definition)
    first = view.store.publishing.publications("clicks")[1].ordinal
    view.store.close()
    done(stage, "roll-back", "clicks", str(first))
    assert subscriber.wrong(definition, messages) == {}
    with capsys.disabled():
        received = f"{subscriber.receiver.received:,} messages received, {subscriber.receiver.copies:,} of them copies"
        print(
            f"\n{KILLS} kills of live, {dict(beside.happened)}, {trial.published} backfills published in between, "
            f"{trial.refused} refused; {received}, {len(subscriber.receiver.newest):,} windows and keys, "
            f"{len(subscriber.receiver.alerts):,} alerts, {settled:,} of them a backtest's: "
            f"lost 0, twice 0, back 0; {restart_times(trial.restarts)}"
        )
