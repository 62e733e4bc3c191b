"""Arguments as a command line again."""

from __future__ import annotations

from tandem.runners.options.reading import Arguments

__all__ = ["words_of"]


def words_of(arguments: Arguments) -> list[str]:
    """Tandem's flags that were given, as words; what is Beam's is left out.

    Of a command that takes several words without a name these come first, as they are.
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
