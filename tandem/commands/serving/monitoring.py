"""`tandem monitoring`: alert rules and a dashboard, from the table of metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tandem.pipelines.console.printing import say
from tandem.schemas.errors import UserError

__all__ = ["monitoring"]


def monitoring(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where the files are written")],
    runbooks: Annotated[
        str, typer.Option(metavar="URL", help="where this version's docs/ are, for links of alerts")
    ] = "docs",
) -> None:
    """Write alert rules for Prometheus, promtool's tests of them, and a dashboard for Grafana into a folder."""
    from tandem.serving.monitoring.dashboards import dashboard_text
    from tandem.serving.monitoring.rules import rules_tests_text, rules_text

    files = {
        "tandem-alerts.yaml": rules_text(runbooks),
        "tandem-alerts-test.yaml": rules_tests_text("tandem-alerts.yaml", runbooks),
        "tandem-grafana.json": dashboard_text(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror}") from error
    say(f"{folder}: {', '.join(files)}")
