"""Writes docs/reference/flags.md of the table of flags: `python docs/.site/flags_page.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tandem.runners.options.flags.commands import COMMANDS
from tandem.runners.options.flags.flag import Command, Flag
from tandem.runners.options.flags.table import flags_of

__all__ = ["PAGE", "page"]

PAGE: Final = Path(__file__).parents[1] / "reference" / "flags.md"
_HEAD: Final = """# Flags of pipelines

Made of the table of flags (`python docs/.site/flags_page.py`); a test holds that it is up to date. `--some-name` is
`--some_name`, too. The same flags hold for `tandem NAME`, for `python -m tandem.pipelines.NAME`, and for
`tandem plan NAME`. All other flags are Beam's. What they mean together is in [Command line](cli.md).

A job's options, as its runner shows them, hold what was given, but for what is secret.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for command in COMMANDS.values() for line in _section(command))])


def _section(command: Command) -> Iterator[str]:
    yield f"## {command.name}\n"
    yield f"{command.about}\n"
    yield f"```text\n{command.example}\n```\n"
    yield "| flag | about | without it | what |\n|---|---|---|---|"
    yield from map(_row, flags_of(command.name))
    yield ""


def _row(flag: Flag) -> str:
    name = f"`--{flag.name}`" if flag.switch else f"`--{flag.name} {flag.metavar.replace('|', chr(92) + '|')}`"
    secret = "; secret" if flag.secret else ""
    choices = f": {' or '.join(f'`{each}`' for each in flag.choices)}" if flag.choices else ""
    return f"| {name} | {flag.group.lower()} | {flag.without} | {flag.help}{choices}{secret} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
