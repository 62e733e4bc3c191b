"""Commands that run something: pipelines, which take Beam's flags too, and the embedded Pub/Sub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tandem.output.printing import say

__all__ = ["PASS_ON", "backfill", "check", "emulator", "launch", "live", "publish"]

PASS_ON: Final[dict[str, Any]] = {
    "add_help_option": False,
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
}
"""Settings of commands that hand all their flags to a pipeline, Beam's own among them."""


def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="definitions (YAML)")]) -> None:
    """Check definitions against their Avro schemas; nothing is run."""
    from tandem.schemas.definition.compiled import compile_definition
    from tandem.schemas.definition.loading import load
    from tandem.schemas.source.spellings import told

    for path in files:
        compiled = compile_definition(load(path))
        definition = compiled.definition
        fields = ", ".join(compiled.source_columns)
        revisions = ", ".join(sorted(definition.source.revisions))
        also = f"; schema revisions {revisions}" if revisions else ""
        say(f"{path}: {definition.name}, version {compiled.version}, reads {fields}{also}")
        for name, options in definition.source.spellings.items():
            if name in compiled.source_columns:
                say(f"  {told(name, options)}")


def live(context: typer.Context) -> None:
    """Run definitions over a Pub/Sub subscription (an unbounded Beam pipeline; takes Beam's flags too)."""
    launch("live", context.args)


def backfill(context: typer.Context) -> None:
    """Run a definition over files and sealed generations, and publish (takes Beam's flags too)."""
    launch("backfill", context.args)


def publish(context: typer.Context) -> None:
    """Publish the records of files to a Pub/Sub topic, in order of a column, paced or flat out."""
    launch("publish", context.args)


def launch(name: str, arguments: Sequence[str]) -> None:
    """`tandem NAME` and `python -m pipelines.NAME`. Raises TandemError."""
    if name == "live":
        from tandem.pipelines.live import run as run_live
        from tandem.pipelines.unbounded import native as native_live
        from tandem.runners.flink.control import FlinkControl

        rest, source = native_live.split_source(arguments)
        if source == "native":
            _launch(name, arguments, native_live.run)
        else:
            _launch(name, rest, lambda passed: run_live(passed, FlinkControl()))
    elif name == "backfill":
        from tandem.pipelines.backfill import run as run_backfill

        _launch(name, arguments, partial(run_backfill, processes=True))
    else:
        _launch(name, arguments, import_module(f"tandem.pipelines.{name}").run)


def _launch(name: str, arguments: Sequence[str], run: Callable[[Sequence[str]], None]) -> None:
    """Run a pipeline, unless its runner can't, or `--dry_run` asks only what would be sent."""
    import grpc

    from tandem.commands.plan import show_dry_run
    from tandem.pipelines.planning.gate import dry_run, gate
    from tandem.runners.submission.interrupts import ended_by_signals
    from tandem.runners.submission.remote_runs import code_of
    from tandem.schemas.errors import TandemError

    if {"--help", "-h"} & set(arguments):
        run(arguments)
        return
    rest, dry = dry_run(arguments)
    if dry:
        show_dry_run(name, rest)
        return
    passed = gate(name, rest)
    for finding in passed.warnings:
        say(f"{finding.level}: {finding.line()}", err=True)
    try:
        with ended_by_signals(lambda: f"interrupted: {_LEFT[name]}"):
            run(passed.arguments)
    except grpc.RpcError as error:
        raise TandemError(
            f"the job server is gone ({code_of(error)}); what it was given may run still: see on the runner, "
            "then start it again"
        ) from error


_LEFT: Final = {
    "live": "nothing was started",
    "backfill": "nothing was published",
    "publish": "messages may have been published",
}
"""What a pipeline has done that is ended early, unless it says so itself."""


def emulator(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 takes a free one")] = 8085,
    max_backlog_bytes: Annotated[
        int | None, typer.Option(min=1, help="memory for what isn't acknowledged (default: 4 GiB)")
    ] = None,
) -> None:
    """Serve the embedded Pub/Sub; other commands find it through PUBSUB_EMULATOR_HOST."""
    from tandem.emulator.server import serve
    from tandem.emulator.state.broker import DEFAULT_MAX_BACKLOG_BYTES

    serve(
        host,
        port,
        ready=lambda address: say(f"export PUBSUB_EMULATOR_HOST={address}"),
        max_backlog_bytes=max_backlog_bytes or DEFAULT_MAX_BACKLOG_BYTES,
    )
