"""`tandem verify`: compares batch, live and every mix of them on a sample of the user's own events."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from tandem.pipelines.console.printing import console, say
from tandem.schemas.errors import ParityError, UserError

if TYPE_CHECKING:
    from tandem.verification.verify import Failure, Settings, Verified

__all__ = ["verify"]

_SHRINK_SECONDS: Final = 30.0
"""Seconds beyond `--time` for the search of the smallest failing case."""


def verify(
    definition: Annotated[str, typer.Argument(metavar="DEFINITION", help="file of a definition (YAML)")],
    sample: Annotated[
        list[str], typer.Argument(metavar="SAMPLE...", help="files or globs of events, or the folder of a journal")
    ],
    seed: Annotated[int, typer.Option(min=0, help="the same seed gives the same schedules")] = 1,
    examples: Annotated[int, typer.Option(min=1, help="schedules to run")] = 25,
    time_limit: Annotated[str, typer.Option("--time", help="begin no further schedule after this long")] = "60s",
    max_events: Annotated[int, typer.Option(min=1, max=10_000, help="events to take from the sample")] = 200,
    measures: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE", help="module (name or .py file) that registers measures; repeatable"),
    ] = None,
    write_test: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the failing case there, as a test for pytest")
    ] = None,
) -> None:
    """Prove on a sample that batch, live and every mix of them give one answer, whatever comes, fails and is late."""
    from random import Random

    from tandem.runners.options.definitions import definition_text
    from tandem.schemas.definition.loading import load
    from tandem.verification.measure_modules import import_measures
    from tandem.verification.sample import read_sample
    from tandem.verification.verify import Failure, Settings
    from tandem.verification.verify import verify as run

    for module in measures or ():
        import_measures(module)
    limit = _seconds(time_limit)
    loaded = load(Path(definition))
    taken = read_sample(loaded, sample, max_events, Random(seed))
    begun = time.monotonic()
    to = console(stderr=True)
    with to.status(f"{loaded.name}: {taken.events} events") as status:
        settings = Settings(
            seed=seed,
            examples=examples,
            is_over=lambda: time.monotonic() - begun > limit,
            must_end=lambda: time.monotonic() - begun > limit + _SHRINK_SECONDS,
            progress=lambda text: status.update(f"{loaded.name}: {text}"),
        )
        found = run(loaded, definition_text(definition), taken, settings, measures or ())
    if isinstance(found, Failure):
        _show_failure(loaded.name, found, seed, write_test)
    say(_summary(loaded.name, found, settings))


def _seconds(text: str) -> float:
    from tandem.schemas.time.durations import parse_duration

    try:
        return parse_duration(text) / 1e6
    except ValueError as error:
        raise UserError(f"--time: {error}") from None


def _summary(name: str, found: Verified, settings: Settings) -> str:
    short = f" of {settings.examples}, stopped by --time" if found.schedules < settings.examples else ""
    alerts = f"{found.alerts:,} settled alerts equal to the backtest's, " if found.alerts else ""
    return (
        f"{name}: batch, live and merged agree: {found.events:,} events, {found.schedules:,} schedules{short}, "
        f"{found.boundaries:,} boundary positions, {found.answers:,} answers compared, {alerts}"
        f"{found.divisions:,} divisions of measures, {found.copies:,} copies, {found.late:,} late, seed {settings.seed}"
    )


def _show_failure(name: str, failure: Failure, seed: int, write_test: Path | None) -> NoReturn:
    """Print or write the test case. Raises ParityError."""
    from tandem.verification.cases import module_text

    text = module_text(failure.case, name, failure.message, seed)
    if write_test is None:
        say(text, lines=True)
        raise ParityError(f"{name}: {failure.message}; the test above shows it (--write-test FILE saves it)")
    try:
        write_test.write_text(text, encoding="utf-8")
    except OSError as error:
        say(text, lines=True)
        raise UserError(f"--write-test {write_test}: can't be written: {error.strerror}; the test is above") from None
    raise ParityError(f"{name}: {failure.message}; `python -m pytest {write_test}` shows it")
