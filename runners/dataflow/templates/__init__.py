"""Flex Templates: what Dataflow's console and API know of a pipeline's flags, and how a template is launched.

All of it is made of the table of flags, without Beam: metadata and specification here, the way back from a launch's
parameters to flags in `parameters`, the request in `launching`.
"""
