"""Measures in bounded space, each with its stated error: distinct values, heavy hitters, quantiles.

`registry` lists them. Distinct values and quantiles merge in any order to the same bytes, heavy hitters within their
stated error.
"""
