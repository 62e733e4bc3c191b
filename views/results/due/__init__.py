"""Which windows of results are due: tiles noted when answers change, made windows, chosen by their triggers.

`marking` notes tiles (`mark_live`, `mark_moved`, `mark_span`), `expanding` makes them waiting windows by `windows`,
`choosing` gives those that may be sent now, `holding` says which triggers hold back, `spans` finds the tiles of a span
for sending windows of before.
"""
