"""Measures in bounded space, each with its stated error: distinct values, heavy hitters, quantiles.

`registry` lists them; nothing else imports them. Their states merge in any order to the same bytes.
"""
