"""Checks of a pipeline against its runner, made before a launch: unsupported features, and differences."""
