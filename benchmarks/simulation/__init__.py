"""Many lanes and files on a slow object store: the product's journal, plans and folds on clocks that are moved.

Nothing here waits, and every number comes out of a seed, so a simulation of minutes on a thousand machines takes what
its processor time takes, and gives the same each time. `benchmarks.scale` runs it and draws it.
"""
