"""The commands of `tandem`, one module a group of them, in packages by what they are for; all of them thin.

A command reads its flags, calls one function of the floors below, and prints what that gives. `tandem.command_list`
says which module has which command, and loads it when it is called: nothing here is imported for a list or a help
text.
"""
