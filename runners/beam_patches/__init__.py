"""All that is changed in Beam and its job server, each change in a module of its own with the `Patch` that says why.

Each refuses a version that it wasn't tried with, and looks first whether what it changes is what it knows. `launcher`
has the list of all.
"""
