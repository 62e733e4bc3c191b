"""Rules over the past: what they would have alerted of, computed in columns over all windows and keys.

`history` reads files or a journal into states; `grid` merges them into results by window and key; `judging` runs rules
over these; `scoring` holds alerts against labels.
"""
