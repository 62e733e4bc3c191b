"""A part of a cluster that ends while others are started: without a Flink, by what the cluster sees of its parts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tandem.runners.flink.cluster import Cluster
from tandem.runners.flink.config import Settings
from tandem.schemas.errors import LaunchError

DYING = "task-manager-1"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """One of two TaskManagers was just killed: alive at the first look, dead at the second, then started anew."""
    looks: list[int] = []
    monkeypatch.setattr("tandem.runners.flink.cluster._POLL", 0)

    def parts(self: Cluster) -> dict[str, SimpleNamespace]:
        looks.append(1)
        return {DYING: SimpleNamespace(name=DYING, alive=len(looks) != 2, log=tmp_path / "log")}

    def unready(self: Cluster, begun: dict[str, str]) -> str:
        return "" if DYING in begun and len(looks) >= 2 else "1 TaskManager has registered"

    monkeypatch.setattr(Cluster, "parts", parts)
    monkeypatch.setattr(Cluster, "_unready", unready)
    return Cluster(tmp_path, Settings(*range(1, 6)))


def test_what_was_dying_when_the_start_began_is_started_too(cluster: Cluster) -> None:
    begun = {"task-manager-2": "task-manager-2-a"}
    cluster._wait(begun, lambda: {DYING: f"{DYING}-b"}, time_limit=10)
    assert list(begun) == ["task-manager-2", DYING]


def test_what_ends_although_it_was_just_started_is_told(cluster: Cluster) -> None:
    with pytest.raises(LaunchError, match=r"^task-manager-1 ended while it was being started: it said nothing; see "):
        cluster._wait({DYING: "a"}, dict, time_limit=10)
