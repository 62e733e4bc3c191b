"""Revisions of windows: answers read in one snapshot, compared with the last ones, written by compare-and-swap.

`draining` does it (`Drainer`), by `answering`, `revising` and `writing`; `messages` says a revision as JSON;
`closing` ends windows.
"""
