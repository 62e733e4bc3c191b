"""Backfills of one definition at once, as real processes: each takes its turn, and all files are served in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from processes.stages import wait_for
from samples import sales
from samples.sales import START, Sale
from samples.sales_files import write_jsonl

from tandem.views.answers.all_steps import all_answers
from tandem.views.locking.processes import process_text
from tandem.views.locking.turns import turn
from tandem.views.store import ViewStore

ROOT = Path(__file__).parents[3]


def start(folder: Path, name: str) -> subprocess.Popen[str]:
    """`tandem backfill` of one file."""
    command = [sys.executable, "-m", "tandem", "backfill", "--definition", str(folder / "sales.yaml"), "--workers", "1"]
    command += ["--files", str(folder / name), "--home", str(folder / "home")]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("many", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(0)])])
def test_all_files_of_all_are_served(tmp_path: Path, many: int) -> None:
    (tmp_path / "sales.yaml").write_text(sales.text())
    wanted = []
    for number in range(many):
        mine = [Sale(f"{number}-{n}", START + n * 1_000_000) for n in range(number + 1)]
        write_jsonl(tmp_path / f"{number}.jsonl", mine)
        wanted += mine
    started = [start(tmp_path, f"{number}.jsonl") for number in range(many)]
    said = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0] * many, said
    assert sum("waits for another backfill of it to end: process " in each for each in said) > 0, said
    with closing(ViewStore(str(tmp_path / "home/views.db"), create=False)) as store:
        assert sum(row.events for row in all_answers(store, sales.compiled())) == len(wanted)
        assert len(store.publishing.publications("sales")) == many


def test_a_stopped_holder_is_named_and_waited_for(tmp_path: Path) -> None:
    """And a turn ends with its process, however that ends."""
    with closing(ViewStore(str(tmp_path / "views.db"))) as store:
        code = (
            "import sys, time\nfrom tandem.views.store import ViewStore\nfrom tandem.views.locking.turns import turn\n"
            f"with turn(ViewStore({str(tmp_path / 'views.db')!r}).database, 'sales', print):\n"
            "    print('held', flush=True)\n    time.sleep(600)\n"
        )
        holder = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGSTOP)
        wait_for("it is stopped", lambda: "stopped" in process_text(holder.pid))
        said: list[str] = []

        def tell(line: str) -> None:
            said.append(line)
            holder.kill()

        begun = time.monotonic()
        with turn(store.database, "sales", tell):
            assert time.monotonic() - begun < 60
        holder.wait()
    assert len(said) == 1
    assert said[0].startswith(f"sales: waits for another backfill of it to end: process {holder.pid} (python")
    assert f"stopped: `kill -CONT {holder.pid}` lets it go on" in said[0]
