"""The embedded Pub/Sub: one process with the gRPC interface of Google Cloud Pub/Sub, in memory.

`EmbeddedPubSub` starts it inside a Python process, `serve` runs it in the foreground.
"""

from tandem.emulator.server import CannotListen, EmbeddedPubSub, serve

__all__ = ["CannotListen", "EmbeddedPubSub", "serve"]
