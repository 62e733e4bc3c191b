"""Help of the commands whose flags are in the table: groups, defaults, an example, as for all other commands."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer
from typer.main import get_command

from tandem.runners.options.flags.commands import COMMANDS
from tandem.runners.options.flags.flag import Flag
from tandem.runners.options.flags.table import flags_of

__all__ = ["flag_option", "print_help"]


def print_help(name: str) -> None:
    """Print the help of `tandem NAME`, however the pipeline was started."""
    app, command = typer.Typer(add_completion=False), COMMANDS[name]
    example = f"Example: {command.example}"
    app.command(name, help=command.about, epilog=example)(_stand_in(flags_of(name)))
    shown = get_command(app)
    with shown.make_context(f"tandem {name}", [], resilient_parsing=True) as context:
        typer.echo(shown.get_help(context))


def flag_option(flag: Flag) -> Any:
    """A flag as an option of Typer."""
    return typer.Option(
        f"--{flag.name}",
        metavar=None if flag.switch else flag.metavar,
        help=f"{flag.help} ({_without(flag)})" if flag.without else flag.help,
        rich_help_panel=flag.group,
        show_default=False,
    )


def _without(flag: Flag) -> str:
    return flag.without if flag.without.startswith("required") else f"default: {flag.without}"


def _stand_in(flags: tuple[Flag, ...]) -> Any:
    """A function whose parameters are the flags, from which alone Typer makes the help."""

    def command(**values: object) -> None:
        """Placeholder that is never called."""

    kinds = {flag.dest: Annotated[bool if flag.switch else str, flag_option(flag)] for flag in flags}
    defaults: dict[str, Any] = {flag.dest: False if flag.switch else None for flag in flags}
    command.__annotations__ = {**kinds, "return": None}
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kind)
            for name, kind in kinds.items()
        ]
    )
    return command
