"""Checks of a launch, by subject; each is a plain function from a launch to findings."""
