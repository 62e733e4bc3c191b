"""Beam's windows and triggers after the fold: for definitions with results, panes of nudges start draining early."""
