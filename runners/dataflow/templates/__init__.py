"""Flex Templates: the description of a pipeline's flags for Dataflow's console and API, and launches.

Everything is made of the table of flags, without Beam: metadata and specification here, the way back from a launch's
parameters to flags in `parameters`, the request in `launching`.
"""
