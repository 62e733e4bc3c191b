"""Rules on results, judged against what batch knows: parsed, checked, and computed as pure functions over columns.

`models`: what is written; `checks` and `compiled`: whether it fits a definition; `seasons` and `baselines`: what is
usual; `judging`: a verdict for each window and key; `automaton`: runs of verdicts as episodes.
"""
