"""`tandem template classic`: Dataflow jobs that are written once and get their parameters at each start."""

from __future__ import annotations

from typing import Annotated

import typer

from tandem.pipelines.console.printing import say

__all__ = ["build"]


def build(
    context: typer.Context,
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="backfill or publish")],
    to: Annotated[str, typer.Option("--to", metavar="PLACE", help="a file or gs://; PLACE_metadata lies beside it")],
) -> None:
    """Write a job that is given its parameters when it is started, and their description beside it."""
    from tandem.commands.platforms.flex_templates import write_json
    from tandem.pipelines.templated.classic import check_classic, write_classic
    from tandem.runners.dataflow.templates.metadata import metadata_of

    write_classic(check_classic(template), to, context.args)
    say(to, err=True)
    write_json(metadata_of(template), f"{to}_metadata")
