"""Commands that run pipelines, which take Beam's flags too, and the embedded Pub/Sub; and `tandem check`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tandem.pipelines.console.help import print_help
from tandem.pipelines.console.printing import say
from tandem.runners.options.reading import Arguments, wants_help
from tandem.schemas.errors import LaunchError

__all__ = ["backfill", "check", "emulator", "live", "publish", "windowed"]


def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="definitions (YAML)")]) -> None:
    """Check definitions against their Avro schemas; nothing is run."""
    from tandem.schemas.definition.compiled import compile_definition
    from tandem.schemas.definition.loading import load
    from tandem.schemas.rules.actions import shown_label
    from tandem.schemas.source.spellings import description_of

    for path in files:
        compiled = compile_definition(load(path))
        definition = compiled.definition
        fields = ", ".join(compiled.source_columns)
        revisions = ", ".join(sorted(definition.source.revisions))
        also = f"; schema revisions {revisions}" if revisions else ""
        say(f"{path}: {definition.name}, version {compiled.version}, reads {fields}{also}")
        for name, options in definition.source.spellings.items():
            if name in compiled.source_columns:
                say(f"  {description_of(name, options)}")
        for name, result in definition.results.items():
            say(f"  result {name}: {result.mode}, to {', '.join(output.label for output in result.to)}")
        for name, rule in definition.rules.items():
            labels = [shown_label(action.label) for action in rule.outputs]
            places = ", ".join(labels) or ("nowhere" if not rule.shadow else "shadow")
            say(f"  rule {name}: {rule.expr}, to {places}")


def live(context: typer.Context) -> None:
    """Run definitions over a Pub/Sub subscription (an unbounded Beam pipeline; takes Beam's flags too)."""
    if _helped("live", context.args):
        return
    from tandem.pipelines.live import LIVE
    from tandem.pipelines.planning.launch import launch

    launch(LIVE, context.args, _measured)


def backfill(context: typer.Context) -> None:
    """Run definitions over files and sealed generations, and publish (takes Beam's flags too)."""
    if _helped("backfill", context.args):
        return
    from tandem.pipelines.bounded.up_to_date import is_up_to_date

    if is_up_to_date(context.args):
        return
    from tandem.pipelines.backfill import BACKFILL
    from tandem.pipelines.planning.launch import launch

    launch(BACKFILL, context.args)


def publish(context: typer.Context) -> None:
    """Publish the records of files to a Pub/Sub topic, in order of a column, paced or flat out."""
    if _helped("publish", context.args):
        return
    from tandem.pipelines.planning.launch import launch
    from tandem.pipelines.publish import PUBLISH

    launch(PUBLISH, context.args)


def windowed(context: typer.Context) -> None:
    """Windowed results of a definition from files or Pub/Sub as JSON, without journal or store (takes Beam's flags)."""
    if _helped("windowed", context.args):
        return
    from tandem.pipelines.planning.launch import launch
    from tandem.pipelines.windowed import WINDOWED

    launch(WINDOWED, context.args)


@contextmanager
def _measured(read: Arguments) -> Iterator[None]:
    """Serve metrics of the installation meanwhile, if `--metrics-port` is given."""
    if not read.has("metrics_port"):
        yield
        return
    try:
        from tandem.serving.monitoring.exporter import metrics_served
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        raise LaunchError("prometheus_client isn't installed", "pip install 'tandem-beam[serve]'") from error
    with metrics_served(read["metrics_port"], read.home.store, read.home.journal) as port:
        say(f"metrics at http://127.0.0.1:{port}/metrics", err=True)
        yield


def _helped(name: str, words: Sequence[str]) -> bool:
    """Whether help was requested; if so, print it, without importing the pipeline."""
    helped = wants_help(words)
    if helped:
        print_help(name)
    return helped


def emulator(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 takes a free one")] = 8085,
    max_backlog_bytes: Annotated[
        int | None, typer.Option(min=1, help="memory for what isn't acknowledged (default: 4 GiB)")
    ] = None,
) -> None:
    """Serve the embedded Pub/Sub; other commands find it through PUBSUB_EMULATOR_HOST."""
    from tandem.emulator.server import CannotListen, serve
    from tandem.emulator.state.broker import DEFAULT_MAX_BACKLOG_BYTES

    try:
        serve(
            host,
            port,
            ready=lambda address: say(f"export PUBSUB_EMULATOR_HOST={address}"),
            max_backlog_bytes=max_backlog_bytes or DEFAULT_MAX_BACKLOG_BYTES,
        )
    except CannotListen as error:
        raise LaunchError(str(error).rstrip("."), "--port 0 takes a free one") from None
