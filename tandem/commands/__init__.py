"""The commands of `tandem`, one module a group, in packages by purpose; all of them thin.

A command reads its flags, calls one function of a lower floor, and prints its result. `tandem.command_list` maps
commands to modules, which are loaded when they are called: nothing here is imported for a list or a help text.
"""
