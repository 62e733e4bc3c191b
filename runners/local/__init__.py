"""Runners of this machine: Prism and the FnApiRunner, their processes, sockets and memory."""
