"""Every transform that a pipeline may be built from, by the names under which `tandem.transforms` gives them.

Importing this module imports all of them, and Beam; `tandem.transforms` does so when the first is named.
"""

from __future__ import annotations

from tandem.transforms.batch.aggregate import AggregateTiles
from tandem.transforms.batch.counts import CountCounted, CountNewest, CountReceived, FinishBatchRun
from tandem.transforms.batch.early_times import CountEarlyTimes
from tandem.transforms.batch.spilling import ReadSpilled, SpillParts
from tandem.transforms.batch.work import ReadWork
from tandem.transforms.fold.fold import FoldTiles
from tandem.transforms.reconcile.reconciling import ReadAgain, RecomputeTiles, RouteWanted, WriteRecomputed
from tandem.transforms.results.nudges import DrainByPanes, WriteAndNudge
from tandem.transforms.routing.panes import GatherPanes, LatePanes
from tandem.transforms.savepoints import ReadFollowed, ReadJournaled
from tandem.transforms.sinks.pubsub import PublishMessages
from tandem.transforms.sinks.views import WriteBatchStates, WriteDeadLetters, WriteLiveStates, WriteSegmentTallies
from tandem.transforms.sources.native import DeadLetterMessages, DecodeNative, ReadNative
from tandem.transforms.tiles import RouteToTiles
from tandem.transforms.windowed import CalendarWindows, MeasureEvents, MergeStates, WindowedMeasures

__all__ = [
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
    "ReadSpilled",
    "ReadWork",
    "RecomputeTiles",
    "RouteToTiles",
    "RouteWanted",
    "SpillParts",
    "WindowedMeasures",
    "WriteAndNudge",
    "WriteBatchStates",
    "WriteDeadLetters",
    "WriteLiveStates",
    "WriteRecomputed",
    "WriteSegmentTallies",
]
