"""Runs of the live pipeline: manifests, launches, heartbeats, generations, and their seals."""
