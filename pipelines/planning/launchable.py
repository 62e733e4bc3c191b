"""A pipeline as the command line starts it: its name, its functions to run, and to sketch its graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tandem.pipelines.planning.sketch import Sketch
from tandem.runners.options.reading import Arguments

__all__ = ["Launchable"]


@dataclass(frozen=True, slots=True)
class Launchable:
    """One pipeline; each module of `tandem.pipelines` defines its own."""

    name: str
    run: Callable[[Arguments], None]
    """Makes a config of arguments, launches, waits for the end. Raises TandemError."""
    sketch: Callable[[Arguments], tuple[Sketch, ...]]
    """The graphs that a launch would have, without starting, opening or writing anything. Raises UserError."""
    interrupted: str
    """The consequence of ending a launch early, until it reports a more exact one."""
