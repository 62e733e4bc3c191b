"""Retries calls while the view store is locked or down, so that a pipeline survives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from tenacity import (
    Retrying,
    retry_all,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
)

from tandem.schemas.errors import DamagedStoreError, RunDroppedError, StoreError

__all__ = ["RETRY_FOR", "retrying"]

RETRY_FOR: Final = 300.0
"""Seconds for which calls to a locked or unavailable store are retried before the pipeline fails."""

_FINAL: Final = (RunDroppedError, DamagedStoreError)

Result = TypeVar("Result")


def retrying(work: Callable[[], Result]) -> Result:
    """The result of `work`, which is retried on every StoreError until its time is over; then the error is raised.

    RunDroppedError and DamagedStoreError are permanent, and raised at once.
    """
    retrying = Retrying(
        retry=retry_all(retry_if_exception_type(StoreError), retry_if_not_exception_type(_FINAL)),
        wait=wait_exponential_jitter(initial=0.1, max=5.0),
        stop=stop_after_delay(RETRY_FOR),
        reraise=True,
    )
    return retrying(work)
