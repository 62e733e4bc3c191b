"""`tandem doctor`: problems of this machine and this installation, each with its remedy."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tandem.pipelines.console.printing import console, print_json
from tandem.places import HomeOption, JournalOption, StoreOption
from tandem.runners.options.places import Home
from tandem.storage.urls import is_url, place_of

if TYPE_CHECKING:
    from tandem.diagnosis.finding import Finding

__all__ = ["doctor"]

_COLOURS: Final = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
    journal: JournalOption = None,
) -> None:
    """Say what is missing or wrong on this machine and in this installation, each with its remedy.

    The exit code is 1 if something can't work as it is. Nothing is changed.
    """
    found = list(_findings(home, Home.of(home, store, journal)))
    if as_json:
        print_json({"findings": [asdict(each) for each in found]})
    else:
        _print(found)
    if any(each.state == "error" for each in found):
        raise typer.Exit(1)


def _findings(home: str, places: Home) -> list[Finding]:
    from tandem.diagnosis.broker import broker_findings
    from tandem.diagnosis.installation import installation_findings
    from tandem.diagnosis.machine import machine_findings

    root = place_of(home, "--home")
    machine = machine_findings(None if is_url(root) else root)
    return [*machine, *broker_findings(), *installation_findings(root, places, time.time_ns() // 1000)]


def _print(found: list[Finding]) -> None:
    from tandem.pipelines.console.printing import cell

    to = console()
    for each in found:
        line = cell(f"{each.state:>8}", _COLOURS[each.state]) + cell(f"  {each.about}: {each.what}")
        to.print(line, soft_wrap=True)
        if each.fix:
            to.print(cell(f"          -> {each.fix}"), soft_wrap=True)
    counts = {state: sum(each.state == state for each in found) for state in _COLOURS}
    to.print(f"  {counts['error']} errors, {counts['warning']} warnings, {counts['note']} notes, {counts['ok']} ok")
