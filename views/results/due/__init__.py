"""Due windows of results: tiles noted when answers change, turned into windows, chosen by their triggers.

`marking` notes tiles (`mark_live`, `mark_moved`, `mark_span`), `expanding` turns them into waiting windows by
`windows`, `choosing` selects those that may be sent now, `holding` reports those that triggers hold back, `spans` finds
the tiles of a span, for sending windows of earlier times.
"""
