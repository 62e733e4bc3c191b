"""Silences the traces that Beam's workers print: their errors are raised as well, and shown as one line."""

from __future__ import annotations

from typing import Final

from apache_beam.runners.worker import sdk_worker

from tandem.runners.beam_patches.known import Patch

__all__ = ["PATCH", "apply"]

PATCH: Final = Patch(
    else_would="print the trace of each error of a bundle",
    issue="none that is known",
    tried=("2.77.0",),
    goes_when="the worker logs what fails instead of printing it",
)


def apply() -> None:
    """Stop Beam's worker from printing in this process. Raises LaunchError for an unknown version of Beam."""
    PATCH.check()
    setattr(sdk_worker, "print", lambda *words, **options: None)  # noqa: B010
