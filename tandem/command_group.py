"""How every command of `tandem` ends: one line on stderr and an exit code, whatever went wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from tandem.pipelines.console.ending import INTERRUPTED, end_for, print_error, wants_trace
from tandem.schemas.errors import UserError

__all__ = ["CommandGroup", "print_error"]


class CommandGroup(TyperGroup):
    """The top-level group: a TandemError ends with its own exit code, wrong usage with that of UserError."""

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
            # Click and Rich end a process whose output nobody reads as if it had failed
            if isinstance(end.__context__, BrokenPipeError):
                end_for(end.__context__)
            raise
        # with standalone_mode off, an Exit raised by a command comes back as its code
        sys.exit(code if isinstance(code, int) else 0)
