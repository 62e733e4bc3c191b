"""`tandem compact`: what it says, what `tandem doctor` says, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tandem.diagnosis import compaction
from tandem.schemas.failpoints import FAILPOINT_VARIABLE
from tandem.views.answers.all_steps import all_answers
from tandem.views.layers.removing import GRACE, sweep


@pytest.fixture
def many(served: Any) -> Any:
    """Three batch runs above each other, of which the last can be served."""
    for generation, hour, amount in ((2, 8.5, 8.0), (3, 9.5, 16.0)):
        orders = [served.Order(hour, amount, generation=generation)]
        served.batch(f"b-{generation}", generation, orders, parent=f"b-{generation - 1}", built_for="000001-aa")
        served.store.publishing.publish("orders", served.version, f"b-{generation}", "000001-aa")
    return served


def answers(served: Any) -> list[Any]:
    return list(all_answers(served.store, served.compiled))


def layers(served: Any) -> list[Path]:
    return sorted((served.home / "layers").glob("*/*/*.arrow"))


def test_what_is_joined_and_what_is_said(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = many.run("compact", "orders").stdout
    assert "orders: joined 0 files of 0 bytes and 2 rows into 1 of " in said
    assert "orders: 2 batch runs can be rolled back to and stay apart; `tandem prune` lets them go" in said
    many.store.publishing.prune("orders", keep=1)
    before = answers(many)
    dry = json.loads(many.run("compact", "orders", "--dry-run", "--json").stdout)
    assert (dry["files"], dry["rows"], dry["kept"], dry["dry_run"]) == (1, 2, 0, True)
    monkeypatch.setattr(compaction, "MANY_ROWS", 2)
    assert "`tandem compact orders`" in " ".join(many.run("doctor").stdout.split())
    done = json.loads(many.run("compact", "orders", "--json").stdout)
    assert (done["files"], done["rows"], done["written"]) == (1, 2, 1)
    assert answers(many) == before
    assert "orders: nothing to join" in many.run("compact", "orders").stdout
    assert "tandem compact" not in many.run("doctor").stdout
    assert "only 10 bytes" not in many.run("compact", "orders", "--all", "--extra-disk", "0").stdout


@pytest.mark.parametrize("instant", ["layer-written:1", "mid-upsert:3", "files-swapped:1", "after-commit:3"])
def test_killed_at_an_instant_it_leaves_nothing_half_served(many: Any, instant: str) -> None:
    many.store.publishing.prune("orders", keep=1)
    before = answers(many)
    environment = {**os.environ, "TANDEM_HOME": str(many.home), FAILPOINT_VARIABLE: instant}
    ended = subprocess.run(
        [sys.executable, "-m", "tandem", "compact", "orders"], env=environment, capture_output=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert answers(many) == before
    assert many.run("compact", "orders").exit_code == 0
    assert answers(many) == before
    now = many.store.publishing.clock()
    for later in (now, now + GRACE + 1, now + 2 * GRACE + 2):
        assert not sweep(many.store.database, later).unknown
    assert len(layers(many)) == 1
    assert answers(many) == before
