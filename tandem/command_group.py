"""Finds the commands of `tandem`, and ends each with one line on stderr and an exit code, whatever the error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from tandem.command_list.commands import COMMANDS
from tandem.command_list.entry import Entry, Flags
from tandem.pipelines.console.ending import INTERRUPTED, end_for, print_error, wants_trace
from tandem.schemas.errors import UserError

__all__ = ["CommandGroup", "print_error"]

_BEAM_TOO: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


class _Commands(MutableMapping[str, Any]):
    """Commands by name, each imported at its first use."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(self._entries[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def lines(self) -> dict[str, TyperCommand]:
        """A stand-in for each command with its help line, for lists: nothing is imported."""
        return {
            entry.name: TyperCommand(entry.name, help=entry.line, rich_help_panel=entry.panel or None)
            for entry in self._entries.values()
        }


def _load(entry: Entry) -> Any:
    if entry.commands:
        commands: Any = _Commands(entry.commands)
        return _LazyGroup(name=entry.name, help=entry.line, commands=commands)
    module, _, function = entry.function.rpartition(".")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(
        entry.name,
        epilog=f"Example: {entry.example}",
        add_help_option=entry.flags is not Flags.PIPELINE,
        context_settings=None if entry.flags is Flags.OWN else dict(_BEAM_TOO),
    )(getattr(import_module(f"tandem.commands.{module}"), function))
    return typer.main.get_command(app)


class _LazyGroup(TyperGroup):
    """A group whose help imports none of its commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        commands: Any = self.commands
        self.commands = commands.lines()
        try:
            super().format_help(ctx, formatter)
        finally:
            self.commands = commands


class CommandGroup(_LazyGroup):
    """The top-level group: a TandemError ends with its own exit code, wrong usage with UserError's."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": _Commands(COMMANDS)})

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; ends the process unless `standalone_mode` is off."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        words = list(sys.argv[1:] if args is None else args)
        trace = wants_trace(words)
        try:
            code = super().main(words, prog_name, complete_var, False, windows_expand_args, **extra)
            sys.stdout.flush()
        except typer.TyperException as error:
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else self.name or "tandem"
            print_error(f"{error.format_message().rstrip('.')}; see `{path} --help`")
            sys.exit(UserError.exit_code)
        except (typer.Abort, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        except Exception as error:
            end_for(error, trace=trace)
        except SystemExit as end:
            # Click and Rich end a process whose output is closed as if it had failed
            if isinstance(end.__context__, BrokenPipeError):
                end_for(end.__context__)
            raise
        # with standalone_mode off, an Exit raised by a command comes back as its code
        sys.exit(code if isinstance(code, int) else 0)
