"""Flow control of one stream: limits on its unacknowledged messages."""

import sys

UNLIMITED = sys.maxsize


class FlowWindow:
    """Counts the unacknowledged messages and bytes of one stream, against its two limits.

    A limit of zero or less is no limit, as in the service. Bytes are counted as sent, envelope included.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_messages", "_messages")

    def __init__(self, max_messages: int = 0, max_bytes: int = 0) -> None:
        self._max_messages = max_messages if max_messages > 0 else UNLIMITED
        self._max_bytes = max_bytes if max_bytes > 0 else UNLIMITED
        self._messages = 0
        self._bytes = 0

    @property
    def messages(self) -> int:
        """The number of messages held."""
        return self._messages

    @property
    def room(self) -> tuple[int, int]:
        """How many more messages and bytes may be sent; zero or less if the window is full."""
        return self._max_messages - self._messages, self._max_bytes - self._bytes

    def hold(self, messages: int, size: int) -> None:
        """Count messages that were just sent; `size` is their total bytes."""
        self._messages += messages
        self._bytes += size

    def release(self, messages: int, size: int) -> None:
        """Count messages that were acknowledged, returned or expired."""
        self._messages -= messages
        self._bytes -= size
