"""All windows of one declaration and some keys as a grid of columns, over which rules are judged without a loop.

`results`: merged from states; `baselines`: the baseline of each cell, and its verdict.
"""
