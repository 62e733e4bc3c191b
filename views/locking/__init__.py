"""Waiting for other processes: the holders of locks, and turns."""
