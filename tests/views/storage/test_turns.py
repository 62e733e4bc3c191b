"""Turns on PostgreSQL: one goes on at a time, the others know for whom they wait, and a turn ends with its process."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from processes.stages import wait_for

from tandem.views.locking.turns import turn
from tandem.views.store import ViewStore

pytestmark = pytest.mark.parametrize("url", ["server", "newer", "pooler"], indirect=True)
ROOT = Path(__file__).parents[3]
ADVISORY = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


def held(store: ViewStore) -> int:
    with store.database.read() as connection:
        return int(connection.execute(ADVISORY).scalar_one())


def test_one_goes_on_at_a_time(postgres: Any, url: str) -> None:
    """While others use the same sessions of the pooler, and nothing stays locked afterwards."""
    told, most, now, lock = list[str](), [0], [0], threading.Lock()
    stores = [ViewStore(url) for _ in range(2)]

    def work(store: ViewStore) -> None:
        for _ in range(5):
            with turn(store.database, "orders", told.append):
                with lock:
                    now[0] += 1
                    most[0] = max(most[0], now[0])
                held(store)
                with lock:
                    now[0] -= 1

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert held(postgres.store) == 0
    for store in stores:
        store.close()


def test_one_that_waits_knows_for_whom_and_goes_on_when_it_is_gone(postgres: Any, url: str) -> None:
    code = (
        "import time\nfrom tandem.views.store import ViewStore\nfrom tandem.views.locking.turns import turn\n"
        f"with turn(ViewStore({url!r}).database, 'orders', print):\n"
        "    print('held', flush=True)\n    time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    told = list[str]()

    def tell(line: str) -> None:
        told.append(line)
        holder.kill()

    with turn(postgres.store.database, "orders", tell):
        assert len(told) == 1
        assert f"tandem, process {holder.pid}" in told[0]
    holder.wait()


def test_a_turn_of_hours_keeps_no_row_of_others_alive(postgres: Any, url: str) -> None:
    """What vacuum may remove is bounded by the oldest snapshot and number: a turn's transaction has neither."""
    with closing(ViewStore(url)) as store, turn(store.database, "orders", print):
        query = sa.text(
            "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' "
            "WHERE a.state = 'idle in transaction' AND a.backend_xmin IS NULL AND a.backend_xid IS NULL"
        )

        def idle() -> bool:
            with postgres.store.database.read() as connection:
                return bool(connection.execute(query).scalar_one() == 1)

        wait_for("the turn's transaction has no snapshot", idle)
