"""Turns arguments back into a command line."""

from __future__ import annotations

from tandem.runners.options.reading import Arguments

__all__ = ["words_of"]


def words_of(arguments: Arguments) -> list[str]:
    """Tandem's given flags, as words; Beam's are left out.

    Values that a command takes without a name come first, unchanged.
    """
    words, command = list[str](), arguments.command
    alone = (command.positional, command.rest) if command.rest else ()
    for name in filter(None, alone):
        given = arguments.texts.get(name, [])
        words += given if isinstance(given, list) else [given]
    for dest, given in arguments.texts.items():
        flag = f"--{dest.replace('_', '-')}"
        if dest in alone:
            continue
        if given is True:
            words.append(flag)
        else:
            words += [f"{flag}={one}" for one in (given if isinstance(given, list) else [given])]
    return words
