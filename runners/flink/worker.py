"""One Python worker of the pool: `python -m tandem.runners.flink.worker ENDPOINT ID STATE_CACHE_BYTES`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from apache_beam.runners.worker.sdk_worker import SdkHarness

from tandem.runners.beam_patches import bundle_ends
from tandem.runners.local.memory import keep_memory

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a worker until its runner closes the connection."""
    endpoint, worker, state_cache = sys.argv[1:] if arguments is None else arguments
    keep_memory()
    bundle_ends.apply()
    SdkHarness(endpoint, worker_id=worker, state_cache_size=int(state_cache)).run()


if __name__ == "__main__":
    main()
