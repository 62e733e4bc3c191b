"""The units are ones that systemd takes, and shut in what they start."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Final

import pytest
from deployments.deploy_tools import DEPLOY, ran

from tandem.pipelines.launchables import launchable
from tandem.pipelines.unbounded.config import parse
from tandem.runners.options.reading import read_arguments

UNITS: Final = sorted((DEPLOY / "systemd").iterdir())
CLICKS: Final = str(DEPLOY.parent / "examples/clicks/clicks.yaml")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units for clicks, with a command that is there: systemd looks for what it would start."""
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI") == "true" and os.path.isdir("/run/systemd/system"):
            pytest.fail("a machine with systemd and no systemd-analyze")
        pytest.skip("systemd-analyze isn't installed")
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/tandem/bin/tandem", "/usr/bin/env")
        (tmp_path / unit.name.replace("@.", "@clicks.")).write_text(text, encoding="utf-8")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    return tmp_path


def test_systemd_takes_them(units: Path) -> None:
    named = [str(path) for path in units.iterdir() if "@." not in path.name]
    assert len(named) == len(UNITS)
    assert ran("systemd-analyze", "verify", "--man=no", *named) == ""


def test_a_mistake_is_found(units: Path) -> None:
    wrong = units / "tandem-serve.service"
    wrong.write_text(wrong.read_text(encoding="utf-8").replace("[Service]", "[Servce]"), encoding="utf-8")
    ran("systemd-analyze", "verify", "--man=no", str(wrong), code=1)


@pytest.mark.parametrize("name", ["tandem-live@clicks", "tandem-backfill@clicks", "tandem-serve"])
def test_they_are_shut_in(units: Path, name: str) -> None:
    said = ran("systemd-analyze", "security", "--offline=true", "--threshold=20", str(units / f"{name}.service"))
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert found
    assert float(found[1]) <= 2.0


def command(unit: str) -> list[str]:
    text = (DEPLOY / "systemd" / unit).read_text(encoding="utf-8")
    found = re.search(r"^ExecStart=\S+ (.+)$", text, re.MULTILINE)
    assert found
    filled = found[1].replace("/etc/tandem/%i.yaml", CLICKS).replace("${TANDEM_STORE}", "postgresql://t@db/tandem")
    return [
        word
        for word in shlex.split(filled.replace("${TANDEM_SUBSCRIPTION}", "projects/p/subscriptions/s"))
        if "$" not in word
    ]


def test_commands_are_ones_that_tandem_takes() -> None:
    words = command("tandem-live@.service")
    assert words[0] == "live"
    config, _ = parse(read_arguments("live", words[1:]))
    assert config.subscription == "projects/p/subscriptions/s"
    words = command("tandem-backfill@.service")
    assert words[0] == "backfill"
    assert launchable("backfill").sketch(read_arguments("backfill", words[1:]))


def test_restarts_leave_out_what_a_restart_cant_mend() -> None:
    text = (DEPLOY / "systemd/tandem-live@.service").read_text(encoding="utf-8")
    assert "RestartPreventExitStatus=2 75" in text
