"""A pipeline as the command line starts it: what it is called, how it runs, and the graph that it would have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tandem.pipelines.planning.sketch import Sketch
from tandem.runners.options.reading import Arguments

__all__ = ["Launchable"]


@dataclass(frozen=True, slots=True)
class Launchable:
    """One pipeline; each of `tandem.pipelines` has one of its own."""

    name: str
    run: Callable[[Arguments], None]
    """Makes a config of arguments, launches, waits for the end. Raises TandemError."""
    sketch: Callable[[Arguments], tuple[Sketch, ...]]
    """The graphs that the arguments would launch, without starting, opening or writing anything. Raises UserError."""
    interrupted: str
    """What is true of a launch that is ended before it says so itself."""
