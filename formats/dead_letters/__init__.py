"""Dead letters: the verdicts on rows, the files that store them, and the attributes of replays."""
