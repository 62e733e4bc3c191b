"""The one table of flags that pipelines take: the command line, `python -m tandem.pipelines.NAME`, and planning."""

from __future__ import annotations

from functools import cache
from typing import Final

from tandem.runners.options.flags.backtest_flags import BACKTEST_FLAGS
from tandem.runners.options.flags.data_flags import DATA_FLAGS
from tandem.runners.options.flags.flag import Flag, Group
from tandem.runners.options.flags.run_flags import RUN_FLAGS

__all__ = ["FLAGS", "flag_named", "flags_of"]

FLAGS: Final[tuple[Flag, ...]] = (*DATA_FLAGS, *BACKTEST_FLAGS, *RUN_FLAGS)


@cache
def flags_of(command: str) -> tuple[Flag, ...]:
    """The flags that a command takes, by group."""
    order = list(Group)
    return tuple(sorted((flag for flag in FLAGS if command in flag.takes), key=lambda flag: order.index(flag.group)))


def flag_named(command: str, name: str) -> Flag:
    """A command's flag of this name, with hyphens or underscores."""
    return next(flag for flag in flags_of(command) if name in (flag.name, flag.dest))
