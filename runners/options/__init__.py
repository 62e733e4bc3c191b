"""Command-line flags, parsed once into frozen values; all others are passed to Beam.

`flags` is the one table of them, `reading` reads a command line by it (`read_arguments`, `Arguments`), `beam` makes
them Beam's options (`beam_options`, `TandemOptions`), `definitions` and `places` load their values (`load_definitions`,
`Home`), `max_bad` and `shards` are values of two of them. Only `beam` imports Beam.
"""
