"""Flags of backtests: the judged windows, the rules, and the outputs."""

from __future__ import annotations

from typing import Final

from tandem.runners.options.flags.flag import Flag, Group
from tandem.schemas.time.instants import instant_of

__all__ = ["BACKTEST_FLAGS"]

_BACKTEST: Final = ("backtest",)

BACKTEST_FLAGS: Final[tuple[Flag, ...]] = (
    Flag(
        "files",
        _BACKTEST,
        Group.INPUT,
        "data files, globs, or the place of a journal or installation; repeatable",
        metavar="FILES",
        repeatable=True,
        required=True,
    ),
    Flag(
        "rules",
        _BACKTEST,
        Group.WHAT,
        "rules of a file of their own",
        metavar="FILE",
        otherwise="the definition's",
    ),
    Flag("rule", _BACKTEST, Group.WHAT, "this rule only; repeatable", metavar="NAME", otherwise="all", repeatable=True),
    Flag(
        "set",
        _BACKTEST,
        Group.WHAT,
        "a parameter or field of the rules; repeatable",
        metavar="NAME=VALUE",
        otherwise="as they are written",
        repeatable=True,
        pattern=r"[^=,]+=[^,]+",
    ),
    Flag(
        "sweep",
        _BACKTEST,
        Group.WHAT,
        "vary one number",
        metavar="NAME=LOW:HIGH[:STEPS]",
        otherwise="none is varied",
        pattern=r"[^=]+=[^:]+:[^:]+(:[0-9]+)?",
    ),
    Flag("as-known", _BACKTEST, Group.WHAT, "by what a journal had when each window was over, and what lateness cost"),
    Flag(
        "labels",
        _BACKTEST,
        Group.INPUT,
        "known incidents, CSV or JSON Lines",
        metavar="FILE",
        otherwise="none",
        of_beam=True,
    ),
    Flag(
        "complete-until",
        _BACKTEST,
        Group.INPUT,
        "windows that end by then are judged",
        metavar="TIME",
        read=instant_of,
        otherwise="the time of the newest event",
    ),
    Flag(
        "store",
        _BACKTEST,
        Group.PLACES,
        "URL of the view store whose publications --as-known goes by",
        metavar="URL",
        otherwise="views.db beside the journal",
        secret=True,
    ),
    Flag(
        "output",
        _BACKTEST,
        Group.OUTPUT,
        "what was found as JSON, with every alert: a file, gs:// or s3://",
        metavar="PLACE",
        otherwise="it is printed",
    ),
    Flag("plot", _BACKTEST, Group.OUTPUT, "draw the sweep", metavar="FILE.svg", otherwise="it isn't drawn"),
)
