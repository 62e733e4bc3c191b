"""Beam's windows and triggers after the fold: when a definition has results, panes of nudges hasten draining them."""
