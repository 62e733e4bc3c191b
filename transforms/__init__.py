"""Beam transforms that bounded and unbounded pipelines share: transforms wire, functions compute.

- Sources of events (`sources`): `ReadJournaled` (lanes that pull, write and acknowledge), `ReadFollowed` (another
  run's journal), `ReadNative` with `DecodeNative` and `DeadLetterMessages` (Beam's own Pub/Sub read), `ReadWork` (files
  and sealed generations).
- Routing to tiles (`routing`): `RouteToTiles`, `GatherPanes`, `LatePanes`.
- Aggregation: `FoldTiles` (live), `AggregateTiles` with `SpillTiles` (batch), `CountReceived`,
  `CountCounted`, `CountNewest`, `CountEarlyTimes`, `FinishBatchRun`.
- Sinks (`sinks`): `WriteLiveStates`, `WriteSegmentTallies`, `WriteBatchStates`, `WriteLayers`,
  `WriteDeadLetters`, `PublishMessages`.
- Results (`results`): `WriteAndNudge`, `DrainByPanes`.
- Recomputation (`reconcile`): `ReadAgain`, `RouteWanted`, `RecomputeTiles`, `WriteRecomputed`.
- Measures in any Beam pipeline (`windowed`): `WindowedMeasures`, `MeasureEvents`, `MergeStates`, `CalendarWindows`.

`from tandem.transforms import FoldTiles` imports Beam and all of them; `from tandem.transforms.fold.cache import ...`
only what that module needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tandem.transforms.public import *  # noqa: F403

__all__ = [  # noqa: F405
    "AggregateTiles",
    "CalendarWindows",
    "CountCounted",
    "CountEarlyTimes",
    "CountNewest",
    "CountReceived",
    "DeadLetterMessages",
    "DecodeNative",
    "DrainByPanes",
    "FinishBatchRun",
    "FoldTiles",
    "GatherPanes",
    "LatePanes",
    "MeasureEvents",
    "MergeStates",
    "PublishMessages",
    "ReadAgain",
    "ReadFollowed",
    "ReadJournaled",
    "ReadNative",
    "ReadWork",
    "RecomputeTiles",
    "RouteToTiles",
    "RouteWanted",
    "SpillTiles",
    "WindowedMeasures",
    "WriteAndNudge",
    "WriteBatchStates",
    "WriteDeadLetters",
    "WriteLayers",
    "WriteLiveStates",
    "WriteRecomputed",
    "WriteSegmentTallies",
]


def __getattr__(name: str) -> Any:
    """A transform of `__all__`, imported at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tandem.transforms import public

    return getattr(public, name)
