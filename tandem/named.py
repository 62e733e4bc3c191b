"""The argument that names a definition, on every command that asks."""

from __future__ import annotations

from typing import Annotated

import typer

from tandem.serving.questions.naming import is_file_name, load_named, name_of

__all__ = ["DefinitionArgument", "is_file_name", "load_named", "name_of"]

DefinitionArgument = Annotated[
    str, typer.Argument(metavar="DEFINITION", help="file of a definition, or the name of a registered one")
]
