"""The argument that names a definition, shared by all commands that have it."""

from __future__ import annotations

from typing import Annotated

import typer

from tandem.serving.questions.selection.naming import compiled_named, is_file_name, key_named, load_named, name_of

__all__ = ["DefinitionArgument", "compiled_named", "is_file_name", "key_named", "load_named", "name_of"]

DefinitionArgument = Annotated[
    str, typer.Argument(metavar="DEFINITION", help="file of a definition, or the name of a registered one")
]
