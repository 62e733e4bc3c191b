"""Every transform that a pipeline may use, by its name in `tandem.transforms`.

Importing this module imports all of them, and Beam; `tandem.transforms` does so at the first use of one.
"""

from __future__ import annotations

from tandem.transforms.batch.aggregate import AggregateTiles as AggregateTiles
from tandem.transforms.batch.counts import CountCounted as CountCounted
from tandem.transforms.batch.counts import CountNewest as CountNewest
from tandem.transforms.batch.counts import CountReceived as CountReceived
from tandem.transforms.batch.counts import FinishBatchRun as FinishBatchRun
from tandem.transforms.batch.early_times import CountEarlyTimes as CountEarlyTimes
from tandem.transforms.batch.layers import WriteLayers as WriteLayers
from tandem.transforms.batch.spilled_tiles import SpillTiles as SpillTiles
from tandem.transforms.batch.work import ReadWork as ReadWork
from tandem.transforms.fold.fold import FoldTiles as FoldTiles
from tandem.transforms.reconcile.reconciling import ReadAgain as ReadAgain
from tandem.transforms.reconcile.reconciling import RecomputeTiles as RecomputeTiles
from tandem.transforms.reconcile.reconciling import RouteWanted as RouteWanted
from tandem.transforms.reconcile.reconciling import WriteRecomputed as WriteRecomputed
from tandem.transforms.results.nudges import DrainByPanes as DrainByPanes
from tandem.transforms.results.nudges import WriteAndNudge as WriteAndNudge
from tandem.transforms.routing.panes import GatherPanes as GatherPanes
from tandem.transforms.routing.panes import LatePanes as LatePanes
from tandem.transforms.savepoints import ReadFollowed as ReadFollowed
from tandem.transforms.savepoints import ReadJournaled as ReadJournaled
from tandem.transforms.sinks.batch_states import WriteBatchStates as WriteBatchStates
from tandem.transforms.sinks.pubsub import PublishMessages as PublishMessages
from tandem.transforms.sinks.views import WriteDeadLetters as WriteDeadLetters
from tandem.transforms.sinks.views import WriteLiveStates as WriteLiveStates
from tandem.transforms.sinks.views import WriteSegmentTallies as WriteSegmentTallies
from tandem.transforms.sources.native import DeadLetterMessages as DeadLetterMessages
from tandem.transforms.sources.native import DecodeNative as DecodeNative
from tandem.transforms.sources.native import ReadNative as ReadNative
from tandem.transforms.tiles import RouteToTiles as RouteToTiles
from tandem.transforms.windowed import CalendarWindows as CalendarWindows
from tandem.transforms.windowed import MeasureEvents as MeasureEvents
from tandem.transforms.windowed import MergeStates as MergeStates
from tandem.transforms.windowed import WindowedMeasures as WindowedMeasures
