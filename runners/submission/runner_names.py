"""Normalizes names of runners."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from apache_beam.options.pipeline_options import StandardOptions

from tandem.schemas.errors import LaunchError

__all__ = ["OWN_FLINK", "runner_of", "spelled"]

OWN_FLINK: Final = "flink"
"""Flink as `tandem flink start` has started it, unless flags give another address."""
_FLINK: Final = "FlinkRunner"
_SUFFIX: Final = "runner"
_FLAG: Final = "--runner"
_ELSEWHERE: Final = ("flink_master", "job_endpoint", "job-endpoint", "flink-master")


def _plain(name: str) -> str:
    """The name without case, hyphens, and the common ending."""
    return "".join(letter for letter in name.lower() if letter.isalnum()).removesuffix(_SUFFIX)


_OWN: Final = ("TiedPrismRunner", "FnApiRunner", "SwitchingDirectRunner", "BundleBasedDirectRunner", "PortableRunner")
_NAMES: Final[Mapping[str, str]] = {
    _plain(name): name for name in (*(path.rpartition(".")[2] for path in StandardOptions.ALL_KNOWN_RUNNERS), *_OWN)
}


def runner_of(name: str) -> str:
    """Beam's and Tandem's name of a runner; one with its module stays. Raises LaunchError for an unknown one."""
    if not name or "." in name:
        return name
    known = _NAMES.get(_plain(name))
    if known is None:
        close = difflib.get_close_matches(_plain(name), _NAMES, 1)
        meant = f"did you mean {_NAMES[close[0]]}? " if close else ""
        short = ", ".join(("direct", "prism", OWN_FLINK, "spark", "dataflow", "portable"))
        raise LaunchError(f"--runner: {name!r} is no runner", f"{meant}there are {short}, with or without `Runner`")
    return known


def spelled(arguments: Sequence[str]) -> list[str]:
    """The arguments with the runner's normalized name. Raises LaunchError for an unknown one.

    `flink` alone stays: it stands for the cluster that Tandem has started, unless the arguments give another address.
    """
    words = list(arguments)
    named = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
    elsewhere = bool(named & set(_ELSEWHERE))
    for at, name in _values(words):
        runner = runner_of(name)
        if runner == _FLINK and not elsewhere and not name.lower().endswith(_SUFFIX):
            runner = OWN_FLINK
        words[at] = words[at].removesuffix(name) + runner
    return words


def _values(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(index, name) of each runner in the words."""
    for at, word in enumerate(words):
        flag, given, value = word.partition("=")
        if flag != _FLAG:
            continue
        if given:
            yield at, value
        elif at + 1 < len(words) and not words[at + 1].startswith("--"):
            yield at + 1, words[at + 1]
