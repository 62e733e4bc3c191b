"""`tandem backfill --files` over buckets: the answers of the same files in a folder, with processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from samples import sales
from samples.sales import START, TILE, Sale
from samples.sales_files import WRITERS
from servers.object_servers import SECRET, server_of

from tandem.storage.opening import objects_at
from tandem.storage.urls import location
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import open_store


def test_globs_of_two_stores(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [server_of(kind, request, monkeypatch).place(tmp_path.name) for kind in ("s3", "gcs")]
    items: list[Sale] = []
    for number, (kind, write) in enumerate(sorted(WRITERS.items())):
        mine = [Sale(f"{kind}{n}", START + n * TILE // 3, shop="ab"[n % 2]) for n in range(30)]
        write(tmp_path / f"part.{kind}", mine)
        where = location(places[number % 2])
        objects_at(where).put(f"{where.key}/day=1/part.{kind}", (tmp_path / f"part.{kind}").read_bytes())
        items += mine
    (tmp_path / "sales.yaml").write_text(sales.text())
    files = [word for place in places for word in ("--files", f"{place}/*")]
    arguments = [
        "--definition",
        str(tmp_path / "sales.yaml"),
        "--home",
        str(tmp_path / "home"),
        "--workers",
        "2",
        *files,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tandem", "backfill", *arguments], env=dict(os.environ), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "took in 120 events of 4 files" in done.stderr
    assert SECRET not in done.stderr + done.stdout
    store = open_store(f"sqlite:///{tmp_path}/home/views.db")
    answers = all_answers(store, sales.compiled())
    assert {(row.key, row.start): row.events for row in answers} == {
        place: measures["sales"] for place, measures in sales.expected(items).items()
    }
