"""Measures of exact sums: counts, sums, means, variances.

`exact` has the fixed-point numbers that all of them add (`Totals`, `Terms`, `add_up`); `registry` lists the measures.
"""
