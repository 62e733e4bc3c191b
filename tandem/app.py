"""The `tandem` command: names and groups only. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from tandem.command_group import CommandGroup
from tandem.commands import backtest as backtesting
from tandem.commands import dead_letters as deadletter_commands
from tandem.commands import definitions as definition_commands
from tandem.commands import deliver as delivering
from tandem.commands import export as exporting
from tandem.commands import flink as flink_commands
from tandem.commands import journal as journal_commands
from tandem.commands import keys as key_commands
from tandem.commands import pipelines as running
from tandem.commands import plan as plan_commands
from tandem.commands import private as private_commands
from tandem.commands import pubsub as pubsub_commands
from tandem.commands import query as querying
from tandem.commands import rebuild as rebuild_command
from tandem.commands import reconcile as reconcile_commands
from tandem.commands import result_schemas
from tandem.commands import results as result_commands
from tandem.commands import serve as serving
from tandem.commands import store as store_commands
from tandem.commands import verify as verifying

__all__ = ["app", "main"]

app = typer.Typer(
    name="tandem",
    cls=CommandGroup,
    help="Hybrid batch and real-time analytics on Apache Beam: one journal, two speeds, one answer.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
pubsub = typer.Typer(help="Create topics and subscriptions, in the emulator or in Pub/Sub.", no_args_is_help=False)
flink = typer.Typer(help="A Flink on this machine: start, status, stop; savepoints of jobs.", no_args_is_help=False)
keys = typer.Typer(help="API keys for `tandem serve`: create, list, revoke.", no_args_is_help=False)
results = typer.Typer(help="List and show what was sent, and send again what was refused.", no_args_is_help=False)
deadletters = typer.Typer(help="List, show, replay and drop what could not be decoded.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the versions and end")] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="of an error show the whole trace, too")] = False,
) -> None:
    if context.invoked_subcommand not in _LAUNCHING:
        _take_signals()
    if version:
        typer.echo(_versions())
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


_LAUNCHING = ("live", "backfill", "publish", "windowed")
"""Commands that import for seconds, and then decide themselves what Ctrl-C and SIGTERM mean."""


def _take_signals() -> None:
    """What a command does at Ctrl-C is up to it (KeyboardInterrupt, exit code 130), and SIGTERM ends it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _versions() -> str:
    import platform
    from importlib.metadata import version

    beam, python = version("apache-beam"), platform.python_version()
    return f"tandem {version('tandem-beam')} (Apache Beam {beam}, Python {python})"


app.command(rich_help_panel="Run")(running.check)
app.command(rich_help_panel="Run")(verifying.verify)
app.command(rich_help_panel="Run")(backtesting.backtest)
for _command in (running.live, running.backfill, running.publish, running.windowed):
    app.command(rich_help_panel="Run", **running.PASS_ON)(_command)
app.command(rich_help_panel="Run", **plan_commands.PLAN_SETTINGS)(plan_commands.plan)
app.command(rich_help_panel="Run")(delivering.deliver)
app.command(rich_help_panel="Run")(running.emulator)
app.command(rich_help_panel="Ask")(querying.query)
app.command(rich_help_panel="Ask")(exporting.export)
app.command(rich_help_panel="Ask")(store_commands.status)
app.command(rich_help_panel="Ask")(store_commands.publications)
app.command(rich_help_panel="Ask")(reconcile_commands.drift)
app.command(rich_help_panel="Ask")(reconcile_commands.receipts)
app.command(rich_help_panel="Ask")(definition_commands.diff)
app.command(rich_help_panel="Ask")(serving.serve)
app.command(rich_help_panel="Operate")(definition_commands.promote)
app.command(rich_help_panel="Operate")(rebuild_command.rebuild)
app.command("roll-back", rich_help_panel="Operate")(store_commands.roll_back)
app.command(rich_help_panel="Operate", **reconcile_commands.RECONCILE_SETTINGS)(reconcile_commands.reconcile)
app.command(rich_help_panel="Operate")(definition_commands.drop)
app.command(rich_help_panel="Operate")(store_commands.prune)
app.command(rich_help_panel="Operate")(private_commands.private)
app.command(rich_help_panel="Operate")(journal_commands.seal)
app.command(rich_help_panel="Operate")(journal_commands.stop)
pubsub.command("create-topic")(pubsub_commands.create_topic)
pubsub.command("create-subscription")(pubsub_commands.create_subscription)
app.add_typer(pubsub, name="pubsub", rich_help_panel="Operate")
deadletters.command("list")(deadletter_commands.list_letters)
deadletters.command("show")(deadletter_commands.show)
deadletters.command("replay")(deadletter_commands.replay)
deadletters.command("drop")(deadletter_commands.drop)
app.add_typer(deadletters, name="deadletters", rich_help_panel="Operate")
keys.command("create")(key_commands.create_key)
keys.command("list")(key_commands.list_keys)
keys.command("revoke")(key_commands.revoke_key)
app.add_typer(keys, name="keys", rich_help_panel="Operate")
results.command("list")(result_commands.list_results)
results.command("show")(result_commands.show)
results.command("send")(result_commands.send)
results.command("dead")(result_commands.dead)
results.command("retry")(result_commands.retry)
results.command("schema")(result_schemas.schema)
results.command("register")(result_schemas.register)
app.add_typer(results, name="results", rich_help_panel="Operate")
flink.command("start")(flink_commands.start)
flink.command("stop")(flink_commands.stop)
flink.command("status")(flink_commands.status)
flink.command("savepoint")(flink_commands.savepoint)
flink.command("stop-job")(flink_commands.stop_job)
app.add_typer(flink, name="flink", rich_help_panel="Operate")


def main() -> None:
    """Run the command line; what goes wrong is one line and an exit code."""
    app()
