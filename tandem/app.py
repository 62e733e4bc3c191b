"""The `tandem` command. Heavy modules are imported by the command that needs them, so that `--help` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from schemas.errors import TandemError

__all__ = ["app", "main"]

app = typer.Typer(
    name="tandem",
    help="Hybrid batch and real-time analytics on Apache Beam: one journal, two speeds, one answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

PASS_ON: dict[str, Any] = {
    "add_help_option": False,
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
}
"""Settings of commands that hand all their flags to a pipeline, Beam's own among them."""


@app.command()
def check(files: Annotated[list[Path], typer.Argument(help="definitions (YAML)")]) -> None:
    """Check definitions against their Avro schemas; nothing is run."""
    from schemas.compiled import compile_definition
    from schemas.definition import load

    for path in files:
        compiled = compile_definition(load(path))
        definition = compiled.definition
        typer.echo(f"{path}: {definition.name}, version {compiled.version}, reads {', '.join(compiled.source_columns)}")


@app.command(**PASS_ON)
def live(context: typer.Context) -> None:
    """Run definitions over a Pub/Sub subscription (an unbounded Beam pipeline; takes Beam's flags too)."""
    from pipelines.live import run

    run(context.args)


@app.command(**PASS_ON)
def backfill(context: typer.Context) -> None:
    """Run a definition over files and sealed generations of the journal, and publish (takes Beam's flags too)."""
    from pipelines.backfill import run

    run(context.args)


@app.command(**PASS_ON)
def publish(context: typer.Context) -> None:
    """Publish the records of files to a Pub/Sub topic, in order of a column, paced or flat out."""
    from pipelines.publish import run

    run(context.args)


@app.command()
def emulator(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 takes a free one")] = 8085,
) -> None:
    """Serve the embedded Pub/Sub; other commands find it through PUBSUB_EMULATOR_HOST."""
    from emulator.server import serve

    serve(host, port, ready=lambda address: typer.echo(f"export PUBSUB_EMULATOR_HOST={address}"))


def main() -> None:
    """Run the command line; a TandemError ends it with one line and the error's exit code."""
    try:
        app()
    except TandemError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/red] {_escaped(str(error))}")
        sys.exit(error.exit_code)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
