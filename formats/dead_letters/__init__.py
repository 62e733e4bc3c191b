"""Dead letters: which rows are dead and why, the files that keep them, and the marks of replays."""
