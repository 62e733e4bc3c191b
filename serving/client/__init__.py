"""Clients of `tandem.connect`: query an installation from Python, in this process or over HTTP, by the same calls.

`local` reads the view store, `remote` is a client of `tandem serve`; `values` has the types of their results.
"""
