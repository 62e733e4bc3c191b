"""Layers: the states of large batch runs in columns, as immutable files beside the database.

`columns` defines a file's columns, `writing` makes a file of a block of states, `reading` reads its rows back, checked;
`cutting` assigns states to files. `catalog` reads the database's records of files, `registering` writes them,
`removing` removes files that no run names any more. The database alone decides which batch runs exist and which is
served; a file that it doesn't name is never read.
"""
