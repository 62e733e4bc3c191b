"""Definitions: their models, how a file is loaded, checked and compiled.

`loading` is the entry point: `load` and `loads` raise one DefinitionError that names file, line and field.
"""
