"""Compaction: the states of a batch run and its ancestors in fewer and larger files, without a run or a publication.

Counts, and the run that each row is of, never change: only the place of rows does. `prefix` limits compaction, `areas`
selects files worth joining, `joining` makes the new files of an area, `swapping` puts them in the place of the old
ones, in one transaction that fails if the list has changed otherwise.
"""
