"""Rollups: states over whole hours and days, made ahead from the tiles of a batch run and its ancestors.

`planning` says which hours and days have any and which are outdated, `building` makes them, `catalog` is what the
database knows of their files, `changes` which hours later runs have written into, so that tiles are read there, and
`covering` cuts what is asked into days, hours and tiles.
"""
