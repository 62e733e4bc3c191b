"""Pickles sources of live runs for savepoints, with permanent names in place of module paths.

A runner keeps a reader's source in its checkpoints, pickled. Its classes have permanent names, so that modules can
move; only `restored` is in the bytes by its module path. Never move or rename this module, that function, or a name in
`PERMANENT`: savepoints of running jobs would be lost.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from typing import Any, Final

from tandem.journal.broker.pubsub import PubSubConfig
from tandem.journal.lanes.config import LaneConfig
from tandem.journal.runs.manifests import RunManifest
from tandem.schemas.definition.models import Source
from tandem.schemas.source.spellings import Booleans
from tandem.schemas.source.text_options import CsvOptions
from tandem.transforms.sources.decoding import SourceReading
from tandem.transforms.sources.followed import FollowConfig, FollowedSource, ReadFollowed
from tandem.transforms.sources.journaled import JournaledSource, ReadJournaled
from tandem.transforms.sources.lane_elements import ElementSource

__all__ = ["PERMANENT", "FollowedSource", "JournaledSource", "ReadFollowed", "ReadJournaled", "restored"]

PERMANENT: Final[dict[str, type]] = {
    "source of a lane": JournaledSource,
    "source of a follower": FollowedSource,
    "how to follow": FollowConfig,
    "run": RunManifest,
    "Pub/Sub": PubSubConfig,
    "lane": LaneConfig,
    "reading": SourceReading,
    "source of a definition": Source,
    "CSV": CsvOptions,
    "booleans": Booleans,
}
"""The classes of objects in a savepoint, by the names that it holds."""
_NAMES: Final = {kind: name for name, kind in PERMANENT.items()}


def restored(data: bytes) -> ElementSource:
    """The source that was pickled as `data`, whatever its class's present name and module."""
    kind, fields = _Unpickler(io.BytesIO(data)).load()
    source: ElementSource = kind.__new__(kind)
    source.__dict__.update(fields)
    return source


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> str | None:
        """See pickle."""
        if not isinstance(obj, type) or not obj.__module__.startswith("tandem."):
            return None
        if obj not in _NAMES:
            raise pickle.PicklingError(f"{obj.__qualname__} has no permanent name in tandem.transforms.savepoints")
        return _NAMES[obj]


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> type:
        """See pickle."""
        return PERMANENT[pid]


def _reduced(source: ElementSource) -> tuple[Any, ...]:
    written = io.BytesIO()
    _Pickler(written, protocol=4).dump((type(source), source.__getstate__()))
    return restored, (written.getvalue(),)


for _kind in (JournaledSource, FollowedSource):
    copyreg.pickle(_kind, _reduced)
