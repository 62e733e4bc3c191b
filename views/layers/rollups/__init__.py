"""Rollups: states over whole hours and days, made ahead from the tiles of a batch run and its ancestors.

`planning` finds missing and outdated rollups, `building` makes them, `catalog` reads the database's records of their
files, `changes` finds the hours that later runs have written into, which are read from tiles, and `covering` cuts a
query's span into days, hours and tiles.
"""
