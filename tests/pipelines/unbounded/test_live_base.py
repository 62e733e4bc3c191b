"""Files and Pub/Sub hold copies of the same events: live stands on the files' batch run, and each counts once."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes.emulated import make, publish
from samples import sales
from samples.sales import START, Sale, differences, expected
from samples.sales_files import write_jsonl

from tandem.emulator.server import EmbeddedPubSub
from tandem.pipelines import backfill, live
from tandem.pipelines.unbounded.live_runs import base_of
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import StoreError, UserError
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import open_store

pytestmark = pytest.mark.xdist_group("processes")

TOPIC, SUBSCRIPTION = "projects/p/topics/sales", "projects/p/subscriptions/sales"


def items(first: int, last: int) -> list[Sale]:
    return [Sale(f"s{n}", START + n * 100_000, "ab"[n % 2], 0.1 * n, n) for n in range(first, last)]


def test_live_on_an_unserved_batch_run_is_served_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, yaml = tmp_path / "home", tmp_path / "sales.yaml"
    yaml.write_text(sales.text())
    write_jsonl(tmp_path / "files.jsonl", items(0, 20))
    named = ["--definition", str(yaml), "--home", str(home)]
    backfill.run(read_arguments("backfill", [*named, "--files", f"{tmp_path}/*.jsonl", "--no-publish"]))
    store = open_store(f"sqlite:///{home}/views.db")
    with store.database.read() as connection:
        batch_run = connection.exec_driver_sql("SELECT id FROM batch_runs").scalar_one()
    with EmbeddedPubSub() as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        make(TOPIC, SUBSCRIPTION)
        publish(TOPIC, [sale.payload() for sale in items(10, 30)])
        where = ["--subscription", SUBSCRIPTION, "--no-screen", "--until-idle", "11s"]
        with pytest.raises(StoreError, match="b-nothing"):
            live.run(read_arguments("live", [*named, *where, "--base", "b-nothing"]))
        live.run(read_arguments("live", [*named, *where, "--base", batch_run]))
    served = store.publishing.served("sales")
    assert served is not None
    assert served.batch_run == batch_run
    assert served.live_run is not None
    found = {(row.key, row.start): row.results for row in all_answers(store, sales.compiled())}
    assert differences(found, expected(items(0, 30))) == []


def test_only_a_finished_batch_run_can_be_stood_on(tmp_path: Path) -> None:
    store, compiled = open_store(f"sqlite:///{tmp_path}/views.db"), sales.compiled()
    store.definitions.register(compiled, sales.text())
    store.batch.start(compiled.version, "b1", boundary=0)
    with pytest.raises(UserError, match="--base b1: it is BUILDING"):
        base_of(store, compiled.definition, "b1")
