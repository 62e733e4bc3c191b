"""Tools that judge what lies below `deploy/`, in an environment of their own that `make deploy-tools` makes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

__all__ = ["DEPLOY", "ROOT", "ran", "tool"]

ROOT: Final = Path(__file__).parents[3]
DEPLOY: Final = ROOT / "deploy"
_TOOLS: Final = Path(os.environ.get("TANDEM_DEPLOY_TOOLS", ROOT / ".venv-deploy"))


def tool(name: str) -> str:
    """The path of a tool. Skips the test where there is none, and fails it in CI."""
    found = _TOOLS / "bin" / name
    if not found.exists():
        said = f"no {name} in {_TOOLS.name}; `make deploy-tools` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    return str(found)


def ran(*command: str, stdin: str | None = None, code: int = 0) -> str:
    """What a command printed, which must end with `code`."""
    # Beam's processors are the other tests': a checker that takes both slows them all down.
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=240)
    assert done.returncode == code, f"{command[:3]}: {done.stdout[-6000:]}{done.stderr[-3000:]}"
    return done.stdout
