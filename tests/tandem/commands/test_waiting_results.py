"""`tandem results list` says what waits to be sent, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner
from without_runner.result_stories import TEXT, Event, Story, definition_of

from tandem.app import app


@pytest.mark.parametrize("fails", ["", "topic t: PERMISSION_DENIED: no"], ids=["nothing", "an output that refuses"])
def test_what_waits_is_listed(tmp_path: Path, fails: str) -> None:
    story = Story(tmp_path / "views.db", definition_of("{window: 1m, to: log}"))
    measures = "{n: count, amount: {sum: amount}}"
    text = TEXT.format(result="{window: 1m, to: log}", tile="1m", lateness="0s", measures=measures)
    story.store.definitions.register(story.compiled, text)
    story.serve()
    story.live(Event(0.1), Event(0.2, user="bob"))
    story.watermark(3)
    story.output.fails = fails
    story.deliver()
    story.close()
    done = CliRunner().invoke(app, ["results", "list", "visits"], env={"TANDEM_HOME": str(tmp_path)})
    assert done.exit_code == 0, done.output
    assert "ON_TIME" in done.stdout
    assert ("2 messages to send" in done.stderr) == bool(fails)
    assert (f"log fails: {fails}" in done.stderr) == bool(fails)
