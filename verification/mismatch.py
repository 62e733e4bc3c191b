"""The error of a verification whose two computations of one answer differ."""

from __future__ import annotations

from tandem.schemas.errors import ParityError

__all__ = ["Mismatch"]


class Mismatch(ParityError, AssertionError):
    """Two computations of one answer differ, or a guarantee about answers was violated.

    `check` names the comparison (a measure's name, or a word such as 'conservation'): a smaller case shows the same
    failure if it fails the same check.
    """

    def __init__(self, check: str, message: str) -> None:
        self.check = check
        super().__init__(message)
