"""`tandem prune --results-before` closes windows whose results are final."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner
from without_runner.result_stories import Event, Story, definition_of

from tandem.app import app


@pytest.mark.parametrize(
    ("before", "final", "said", "code"),
    [
        pytest.param("2026-01-05T08:01", True, "removed the last revisions of 1 windows and keys, which", 0, id="time"),
        pytest.param("1d", False, "r of 2026-01-05T08:00:00Z", 2, id="age-and-not-final"),
        pytest.param("soon", True, "--results-before", 2, id="neither"),
    ],
)
def test_windows_are_closed_or_refused(tmp_path: Path, before: str, final: bool, said: str, code: int) -> None:
    story = Story(tmp_path / "views.db", definition_of("{window: 1m, to: log}"))
    story.serve()
    story.live(Event(0.1))
    story.watermark(3)
    if final:
        story.batch(1, complete_to=3)
    story.told()
    story.close()
    done = CliRunner().invoke(app, ["prune", "visits", "--results-before", before], env={"TANDEM_HOME": str(tmp_path)})
    assert done.exit_code == code, done.output
    assert said in done.stdout + done.stderr
