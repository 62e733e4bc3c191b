"""Lanes: appending to one, reading it, where its reader stands, and its watermark."""
