"""Alerting rules over results, judged against baselines from batch: parsed, checked, and computed as pure functions.

`models`: the fields; `checks` and `compiled`: whether they fit a definition; `seasons` and `baselines`: what is usual;
`judging`: a verdict for each window and key; `automaton`: runs of verdicts as episodes.
"""
