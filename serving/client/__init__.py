"""What `tandem.connect` gives: an installation asked from Python, in this process or over HTTP, by the same calls.

`local` reads the view store, `remote` asks a `tandem serve`; what they give is in `values`.
"""
