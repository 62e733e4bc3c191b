"""Beam transforms that bounded and unbounded pipelines share: transforms wire, functions compute."""
