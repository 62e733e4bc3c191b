"""The paths of a journal's contents.

::

    runs/000003.json                            manifest of the run of ordinal 3
    runs-sealed/000003.json                     every lane of that run is sealed for ever
    lanes/000003-5f1c.../0001/000000000042.avro segment 42 of lane 1 of that run
    generations/000000000007.json               marker: generation 7 has begun
    heartbeats/000003-5f1c...                   replaced at an interval while the run is alive
    drains/000003-5f1c...                       requests that run to close its lanes and end
    watermarks/000003-5f1c.../0001.000000000040 first publication of the reader that opened lane 1 with segment 40
    watermarks/000003-5f1c.../0001.000000000040.w-9ac_17000 its last one: one listing shows those of all lanes
"""

from __future__ import annotations

import re
from functools import lru_cache

from tandem.schemas.errors import JournalError

__all__ = [
    "GENERATIONS",
    "RUNS",
    "drain_path",
    "generation_path",
    "heartbeat_path",
    "lane_folder",
    "lane_name",
    "manifest_path",
    "parse_generation",
    "parse_run_ordinal",
    "parse_segment_name",
    "parse_watermark_name",
    "run_ordinal",
    "run_sealed_path",
    "segment_path",
    "watermark_folder",
    "watermark_path",
]

RUNS = "runs"
GENERATIONS = "generations"

_RUN = re.compile(r"(\d{6})-[0-9a-f]+")
_MANIFEST = re.compile(r"(\d{6})\.json")
_MARKER = re.compile(r"(\d{12})\.json")
_SEGMENT = re.compile(r"(\d{12})\.avro")
_WATERMARK = re.compile(r"(\d{4})\.(\d{12})(?:\.([-\w]+))?", re.ASCII)


def drain_path(run: str) -> str:
    """Path of the blob that requests all lanes of a run to close."""
    return f"drains/{run}"


def manifest_path(ordinal: int) -> str:
    """Path of the manifest of the run of this ordinal (1, 2, 3 ...)."""
    return f"{RUNS}/{ordinal:06d}.json"


def run_sealed_path(ordinal: int) -> str:
    """Path of the note that every lane of this run is sealed for ever."""
    return f"runs-sealed/{ordinal:06d}.json"


def run_ordinal(run: str) -> int:
    """Ordinal of a run id. Raises JournalError for other texts."""
    match = _RUN.fullmatch(run)
    if match is None:
        raise JournalError(f"{run!r} isn't a run id; one looks like 000003-5f1c22ab90de77aa")
    return int(match[1])


def lane_name(run: str, lane: int) -> str:
    """RUN/LANE, the name of a lane, also for sorting."""
    return f"{run}/{lane:04d}"


def lane_folder(run: str, lane: int) -> str:
    """Folder of a lane's segments."""
    return f"lanes/{lane_name(run, lane)}"


def segment_path(run: str, lane: int, number: int) -> str:
    """Path of a segment; numbers start at 1 and have no gaps."""
    return f"{lane_folder(run, lane)}/{number:012d}.avro"


def generation_path(generation: int) -> str:
    """Path of the marker that this generation has begun; generations start at 1."""
    return f"{GENERATIONS}/{generation:012d}.json"


def heartbeat_path(run: str) -> str:
    """Path of a run's heartbeat."""
    return f"heartbeats/{run}"


def watermark_folder(run: str) -> str:
    """Folder of the publications of a run's lanes."""
    return f"watermarks/{run}"


def watermark_path(run: str, lane: int, opening: int, stated: str = "") -> str:
    """Path of a publication by the reader whose opening segment has this number; 0 before it has opened.

    `stated`: the encoded publication, as part of the name.
    """
    return f"{watermark_folder(run)}/{lane:04d}.{opening:012d}{f'.{stated}' if stated else ''}"


def parse_run_ordinal(name: str) -> int | None:
    """Ordinal in the name of a manifest; None for a foreign file."""
    match = _MANIFEST.fullmatch(name)
    return int(match[1]) if match else None


def parse_generation(name: str) -> int | None:
    """Generation in the name of a marker; None for a foreign file."""
    match = _MARKER.fullmatch(name)
    return int(match[1]) if match else None


def parse_segment_name(name: str) -> int | None:
    """Number in the name of a segment; None for a foreign file."""
    match = _SEGMENT.fullmatch(name)
    return int(match[1]) if match else None


@lru_cache(maxsize=1 << 16)
def parse_watermark_name(name: str) -> tuple[int, int, str] | None:
    """(lane, number of the opening, encoded publication or "") of a published watermark; None for a foreign file."""
    match = _WATERMARK.fullmatch(name)
    return (int(match[1]), int(match[2]), match[3] or "") if match else None
