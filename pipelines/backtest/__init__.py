"""Rules over the past: what they would have alerted of, computed in columns over all windows and keys.

`history` reads files or a journal into states; `judging` runs rules over all windows and keys (see `views.grids`);
`scoring` holds alerts against labels.
"""
