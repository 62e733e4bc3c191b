"""The one table of flags and of the commands that take them, as plain frozen values.

`table` gives it (`FLAGS`, `flags_of`, `flag_named`), `commands` the commands (`COMMANDS`), `flag` defines a flag
(`Flag`, `Group`). Help texts, the reference of flags, templates and options of Beam are made of it.
"""
