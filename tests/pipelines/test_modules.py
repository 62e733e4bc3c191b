"""`python -m tandem.pipelines.NAME` launches as `tandem NAME` does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from samples import sales

from tandem.pipelines import backfill, live, publish, reconcile
from tandem.pipelines.launchables import LAUNCHABLES
from tandem.pipelines.planning import launch
from tandem.pipelines.planning.launchable import Launchable
from tandem.schemas.errors import FencedError

MODULES = {"live": live, "backfill": backfill, "publish": publish, "reconcile": reconcile}


@pytest.mark.parametrize("name", list(MODULES))
def test_it_goes_the_way_of_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[tuple[Launchable, Sequence[str]]] = []
    monkeypatch.setattr(launch, "launch", lambda *of: launched.append(of))
    monkeypatch.setattr(sys, "argv", ["module", "--home", "there"])
    MODULES[name].main()
    assert launched == [(LAUNCHABLES[name], ["--home", "there"])]


def test_an_error_is_one_line_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(pipeline: Launchable, arguments: Sequence[str]) -> None:
        raise FencedError("another has taken over")

    monkeypatch.setattr(launch, "launch", refuse)
    with pytest.raises(SystemExit) as ended:
        live.main()
    assert ended.value.code == 75
    assert capsys.readouterr().err == "error: another has taken over\n"


@pytest.mark.parametrize("name", ["live", "backfill", "reconcile"])
def test_what_a_runner_cannot_do_is_refused(name: str, tmp_path: Path) -> None:
    """Streaming on Flink without checkpoints, or with nobody there, would do nothing and say nothing."""
    (tmp_path / "sales.yaml").write_text(sales.text())
    command = [sys.executable, "-m", f"tandem.pipelines.{name}", "--definition", f"{tmp_path}/sales.yaml"]
    command += ["--home", f"{tmp_path}/home", "--runner=FlinkRunner", "--flink_master=127.0.0.1:1"]
    command += ["--subscription", "projects/p/subscriptions/s"] if name == "live" else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "no Flink JobManager answers at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()
