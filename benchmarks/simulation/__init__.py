"""Many lanes and files on a slow object store: the product's journal, plans and folds on simulated clocks.

Nothing here waits, and every number follows from a seed, so a simulation of minutes on a thousand machines takes its
processor time alone, and gives the same each time. `benchmarks.scale` runs it and draws it.
"""
