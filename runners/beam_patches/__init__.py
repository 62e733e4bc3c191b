"""Patches of Beam and its job server, each in a module of its own with a `Patch` that gives the reason.

Each refuses versions that it wasn't tried with, and first verifies the code that it changes. `launcher` lists all of
them.
"""
