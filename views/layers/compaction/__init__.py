"""Compaction: the states of a batch run and its ancestors, in fewer and larger files, without a run or a publication.

What was counted, by which run, never changes: rows keep the run that wrote them. What changes is where they lie.
`prefix` says how far compaction may go, `areas` what is worth joining, `joining` makes the new files of an area,
`swapping` puts them in the place of the old ones, in one transaction that fails if anything else changed the list.
"""
