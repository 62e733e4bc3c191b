"""`results:` of a definition: windows, triggers and modes of what is sent, and where it is sent.

`models`: what is written; `checks`: whether it goes together with the tile, the measures and a budget.
"""
