"""Options that choose dead letters, shared by all commands that take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final, get_type_hints

import typer

from tandem.serving.installation.dead_letters import Filters

__all__ = ["FolderOption", "LimitOption", "VersionOption", "choosing", "count_text"]

_Text = str | None
VersionOption = Annotated[
    _Text, typer.Option("--from-version", metavar="VERSION", help="whose letters (default: the version that is served)")
]
FolderOption = Annotated[
    _Text,
    typer.Option("--dead-letters", metavar="PLACE", help="folder or URL of the letters (default: HOME/deadletters)"),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="at most so many, in their order")]
_PARAMETERS: Final[dict[str, Any]] = {
    "letters": Annotated[
        list[str] | None,
        typer.Argument(metavar="[LETTER]...", help="POSITION#ROW, or POSITION for all that are there"),
    ],
    "reason": Annotated[_Text, typer.Option("--reason", metavar="TEXT", help="whose latest reason holds this text")],
    "stage": Annotated[
        _Text, typer.Option("--stage", metavar="STAGE", help="that failed in: decode, validate or expression")
    ],
    "position": Annotated[
        _Text,
        typer.Option("--position", "--lane", metavar="TEXT", help="of this run, lane (RUN/LANE), segment or file"),
    ],
    "since": Annotated[
        _Text, typer.Option("--since", metavar="TIME", help="published (of files: found) at this time or later")
    ],
    "until": Annotated[_Text, typer.Option("--until", metavar="TIME", help="published before this time")],
}


def choosing(command: Callable[..., None]) -> Callable[..., None]:
    """A command in which options of the command line, for open letters, replace the parameter `filters`."""

    def chosen(**values: Any) -> None:
        letters = tuple(values.pop("letters") or ())
        texts = {name: values.pop(name) for name in _PARAMETERS if name != "letters"}
        command(**values, filters=Filters(**texts, status=values.get("status", "open"), letters=letters))

    hints = get_type_hints(command, include_extras=True)
    parameters = list[inspect.Parameter]()
    for name, parameter in inspect.signature(command).parameters.items():
        if name == "filters":
            more = dict.fromkeys(_PARAMETERS, inspect.Parameter.KEYWORD_ONLY)
            parameters += [
                inspect.Parameter(each, kind, default=None, annotation=_PARAMETERS[each]) for each, kind in more.items()
            ]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name]))
    chosen.__name__, chosen.__doc__, chosen.__module__ = command.__name__, command.__doc__, command.__module__
    chosen.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    chosen.__annotations__ = {each.name: each.annotation for each in parameters}
    return chosen


def count_text(count: int) -> str:
    """A number of dead letters, in words."""
    return f"{count:,} dead letter{'' if count == 1 else 's'}"
