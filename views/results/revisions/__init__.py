"""Revisions of windows: answers read in one snapshot, compared with the last ones, written by compare-and-swap.

`draining` runs the passes (`Drainer`), by `answering`, `revising` and `writing`; `messages` makes a revision's JSON;
`closing` ends windows.
"""
