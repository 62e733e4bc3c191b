"""An installation whose home is a bucket: live, seal, backfill, dead letters and their replay, by the command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from processes.stages import ROOT, TANDEM, Stage, wait_for
from samples import sales
from samples.sales import OVERFLOWS, START, TILE, Sale
from servers.object_servers import SECRET, ObjectServer, server_of

from tandem.journal.storage.opening import open_blobs

pytestmark = pytest.mark.xdist_group("processes")

STORES = ["s3", pytest.param("gcs", marks=pytest.mark.slow), pytest.param("s3-versity", marks=pytest.mark.slow)]


class Installation:
    """Commands with a home in a bucket; the view store lies in a folder."""

    def __init__(self, stage: Stage, server: ObjectServer, folder: Path) -> None:
        self.stage, self.server, self.folder = stage, server, folder
        self.home = server.place(f"{stage.name}/home")
        self.store = f"sqlite:///{folder}/views.db"
        self.yaml = folder / "sales.yaml"
        self.yaml.write_text(sales.text())
        stage.journal, stage.store_url = f"{self.home}/journal", self.store
        stage.dead_letters = f"{self.home}/deadletters"
        self.said = ""

    def run(self, *words: str) -> str:
        """A command to its end; what it said."""
        environment = {**self.stage.environment, "TANDEM_HOME": self.home}
        store = ("--store", self.store) if words[0] != "seal" else ()
        done = subprocess.run([*TANDEM, *words, *store], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self.said += done.stdout + done.stderr
        return done.stdout + done.stderr

    def live_until_journaled(self, payloads: list[bytes]) -> None:
        """`tandem live` until all of these are in the journal, and counted."""
        self.stage.publish(payloads)
        live = self.stage.live([self.yaml], env={"TANDEM_HOME": self.home})
        wait_for("all is in the journal", lambda: set(payloads) <= self.stage.journaled() or live.has_ended())
        live.process.terminate()
        assert live.end() == 0, live.said()
        self.said += live.said()


@pytest.fixture(params=STORES)
def installation(
    request: pytest.FixtureRequest, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    return Installation(stage, server_of(request.param, request, monkeypatch), tmp_path)


def test_a_home_in_a_bucket(installation: Installation, tmp_path: Path) -> None:
    good = [Sale(f"s{n}", START + n * TILE // 3 - (n >= 20) * 1_000 * TILE) for n in range(30)]
    bad = Sale("bad", START, units=OVERFLOWS)
    installation.live_until_journaled([sale.payload() for sale in [*good[:20], bad]])
    (tmp_path / "more.jsonl").write_bytes(b"\n".join([*(s.payload() for s in good[20:]), b"{"]) + b"\n")
    name, yaml = "sales", str(installation.yaml)
    installation.run("backfill", "--definition", yaml, "--files", f"{tmp_path}/more.jsonl", "--max-bad", "10")
    view = installation.stage.view(installation.yaml)
    assert sum(view.counts().values()) == 30
    assert (view.unbalanced(), view.received_by_batch()) == ({}, 32)
    listed = installation.run("deadletters", "list", name, "--json")
    assert "square" in listed, "the reason lies in the letters' files"
    assert (
        "1 of files" in (replayed := installation.run("deadletters", "replay", yaml, "--stage", "decode")) or replayed
    )
    assert installation.run("status", name)
    assert "sealed already" in installation.run("seal")
    blobs = open_blobs(installation.home)
    assert set(blobs.folders("")) >= {"deadletters", "journal", "taken-in"}
    assert not list(Path(installation.stage.home).rglob("*")), "nothing lies in a folder"
    assert SECRET not in installation.said
