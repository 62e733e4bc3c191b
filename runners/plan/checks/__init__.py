"""Checks of a launch, by what they look at; each is a plain function from a launch to findings."""
