"""Lanes: appending to one, reading it, its reader's position, and its watermark."""
