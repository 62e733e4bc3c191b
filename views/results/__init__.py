"""Results that are sent: due windows, the revisions of each window and key, and their messages.

`due` notes the tiles whose answers each transaction changes, and derives windows from them; `revisions` reads these
windows' answers, compares them with the last revisions, and puts new ones into the outbox, which `tandem.views.outbox`
hands to one deliverer. `tables` has their tables, `clocks` and `watermarks` decide a revision's timing, `listing`
answers queries. Runners may hasten all this, and decide nothing.
"""
