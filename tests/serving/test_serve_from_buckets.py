"""A server whose installation lies in a bucket: journal and dead letters by URL, keys in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from samples.orders_home import Installation
from servers.object_servers import server_of
from servers.web import Web

from tandem.journal.clocks import ManualClock
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.opening import open_blobs
from tandem.serving.security.principals import Role

ORDERS = "/api/v1/definitions/orders"


def test_journal_and_dead_letters_by_url(
    orders: Installation, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = server_of("gcs", request, monkeypatch).place(tmp_path.name)
    start_run(open_blobs(f"{place}/journal"), ManualClock(), lanes=2, subscription="s", sources={"x"}, definitions=[])
    given: dict[str, Any] = {"journal": f"{place}/journal", "letters": f"{place}/deadletters", "place": place}
    with Web.over(orders.home, keys=True, **given) as web:
        operator = web.known_as(Role.OPERATOR)
        status = operator.get(f"{ORDERS}/status").json()
        assert [run["lanes"] for run in status["journal"]["runs"]] == [2]
        assert operator.get(f"{ORDERS}/dead-letters").json()["letters"] == []
        assert operator.send("POST", "/api/v1/sql", json={"sql": "select * from events('orders')"}).status_code == 200
        assert web.settings.key_file.parent == orders.home


def test_a_home_by_url_asks_for_a_folder_of_keys_and_for_a_store(orders: Installation, tmp_path: Path) -> None:
    without = orders.run("serve", "--home", "s3://bucket/home")
    assert "--keys-folder" in without.stderr
    storeless = orders.run("serve", "--home", "s3://bucket/home", "--keys-folder", str(tmp_path))
    assert "--store" in storeless.stderr
    assert {without.exit_code, storeless.exit_code} == {2}
