"""Sinks: batch and live views, dead letters, and Pub/Sub."""
