"""Arguments as a command line again."""

from __future__ import annotations

from tandem.runners.options.reading import Arguments

__all__ = ["words_of"]


def words_of(arguments: Arguments) -> list[str]:
    """Tandem's flags that were given, as words; what is Beam's is left out."""
    words = list[str]()
    for dest, given in arguments.texts.items():
        flag = f"--{dest.replace('_', '-')}"
        if given is True:
            words.append(flag)
        else:
            words += [f"{flag}={one}" for one in (given if isinstance(given, list) else [given])]
    return words
