"""What a definition says: its models, how a file becomes one, what is checked of it, and the definition ready to run.

`loading` is the way in: `load` and `loads` raise one DefinitionError that names file, line and field."""
