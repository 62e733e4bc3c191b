"""Options shared by commands that write tables: times, steps, and results."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["EndOption", "MeasuresOption", "StartOption", "StepOption", "WindowOption"]

StepOption = Annotated[str | None, typer.Option(metavar="DURATION", help="span of an answer (default: the tile)")]
WindowOption = Annotated[
    str | None, typer.Option(metavar="WINDOW", help="instead: day, week, month, or a window's name")
]
StartOption = Annotated[str | None, typer.Option("--from", metavar="TIME", help="start of a span (default: all)")]
EndOption = Annotated[str | None, typer.Option("--to", metavar="TIME", help="its end, exclusive")]
MeasuresOption = Annotated[str | None, typer.Option(metavar="NAME,...", help="these results only, in this order")]
