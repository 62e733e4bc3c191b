"""Layers: the states of large batch runs in columns, as immutable files beside the database.

`columns` says what a file holds, `writing` makes one of a block of states, `reading` gives its rows back, checked;
`cutting` says which states go into which file. `catalog` is what the database knows of files, `registering` writes it,
`removing` takes files away that no run names any more. Which batch runs exist, and which is served, is the database's
to say; a file that it doesn't name is never read.
"""
