"""`results:` of a definition: windows, triggers and modes of results that are sent, and their outputs.

`models`: the fields; `checks`: whether they agree with the tile, the measures and a budget.
"""
