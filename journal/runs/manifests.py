"""Runs: one for each start of the live pipeline. The manifest is written first and lists all lanes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields

from tandem.journal.clocks import Clock
from tandem.journal.runs.generations import current_generation, next_generation
from tandem.journal.runs.heartbeats import DEFAULT_HEARTBEAT_INTERVAL, Heartbeat, find_alive
from tandem.journal.runs.sealing import is_run_sealed, last_generation_of, seal_run
from tandem.journal.storage.blobs import BlobStore, create_or_find
from tandem.journal.storage.documents import decode_document, encode_document
from tandem.journal.storage.layout import RUNS, manifest_path, parse_run_ordinal, run_ordinal
from tandem.schemas.errors import FencedError, JournalError, LaunchError, WriterAliveError
from tandem.schemas.failpoints import Failpoint, reached

__all__ = ["MAX_LANES", "RunManifest", "list_runs", "load_run", "resume_run", "start_run"]

MAX_LANES = 1_000
FORMAT = 1


@dataclass(frozen=True, slots=True)
class RunManifest:
    """The description of a run, fixed before any of its lanes exists."""

    id: str
    """ORDINAL-NONCE; ids sort by ordinal."""
    ordinal: int
    lanes: int
    subscription: str
    first_generation: int
    """The run's lanes write to this generation and later ones only."""
    created_at: int
    """Wall clock of the machine that started it, microseconds since 1970-01-01 UTC; information only."""
    nonce: str
    sources: tuple[str, ...] = ()
    """Versions of the source definitions, sorted; the lanes have a watermark for each."""
    definitions: tuple[str, ...] = ()
    """Versions of the definitions that it serves, sorted."""
    boundary: int = 0
    """The run replays earlier runs' segments of generations after this one."""
    predecessors: tuple[tuple[str, int], ...] = ()
    """(run, lanes) of the earlier runs to replay, by ordinal."""
    heartbeat_interval: int = DEFAULT_HEARTBEAT_INTERVAL
    """Microseconds of monotonic time."""
    format: int = field(default=FORMAT)
    shards: int = 1
    """Parts of each tile, see tandem.schemas.buckets; 0: it was begun by a version without shards."""

    def encode(self) -> bytes:
        """The manifest as JSON."""
        return encode_document(asdict(self), indent=1)

    @staticmethod
    def decode(path: str, data: bytes) -> RunManifest:
        """The inverse of encode. Raises JournalError naming the path and the error."""
        try:
            names = ("format", *(each.name for each in fields(RunManifest)))
            content = {"shards": 0, **decode_document(data, *names)}
            if content["format"] != FORMAT:
                raise JournalError(f"{path}: manifest format {content['format']!r}, this reader knows {FORMAT}")
            content["sources"] = tuple(content["sources"])
            content["definitions"] = tuple(content["definitions"])
            content["predecessors"] = tuple((str(run), int(lanes)) for run, lanes in content["predecessors"])
            manifest = RunManifest(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{path}: not a run's manifest: {error}") from None
        if manifest_path(manifest.ordinal) != path or run_ordinal(manifest.id) != manifest.ordinal:
            raise JournalError(f"{path}: path and manifest disagree, the manifest says {manifest.id}")
        return manifest


def list_runs(blobs: BlobStore, known: Mapping[int, RunManifest] | None = None) -> dict[int, RunManifest]:
    """Every run's manifest by ordinal, in order; those in `known` aren't read again."""
    ordinals = sorted(o for o in map(parse_run_ordinal, blobs.list(RUNS)) if o is not None)
    runs: dict[int, RunManifest] = {}
    for ordinal in ordinals:
        if known is not None and ordinal in known:
            runs[ordinal] = known[ordinal]
        else:
            path = manifest_path(ordinal)
            runs[ordinal] = RunManifest.decode(path, blobs.read(path))
    return runs


def load_run(blobs: BlobStore, run: str) -> RunManifest:
    """The manifest of a run. Raises LaunchError for an unknown run."""
    path = manifest_path(run_ordinal(run))
    if not blobs.exists(path) or (manifest := RunManifest.decode(path, blobs.read(path))).id != run:
        raise LaunchError(f"run {run}: no such run in this journal")
    return manifest


def _random_nonce() -> str:
    return secrets.token_hex(8)


def _check_lanes(lanes: int) -> None:
    if not 1 <= lanes <= MAX_LANES:
        raise LaunchError(f"lanes: {lanes}; between 1 and {MAX_LANES} are possible")


def start_run(
    blobs: BlobStore,
    clock: Clock,
    *,
    lanes: int,
    subscription: str,
    sources: Iterable[str] = (),
    definitions: Iterable[str] = (),
    boundary: int = 0,
    shards: int = 1,
    take_over: bool = False,
    heartbeat_interval: int = DEFAULT_HEARTBEAT_INTERVAL,
    nonce: Callable[[], str] = _random_nonce,
    failpoint: Failpoint = reached,
) -> RunManifest:
    """Start a run: write its manifest, then seal every lane of every earlier run for ever.

    Raises WriterAliveError while an earlier run's heartbeat changes, unless `take_over`; LaunchError where this journal
    can't be used so. Killed at any point, the next start repairs what this one left: its own lanes are then sealed from
    its manifest, opened or not.
    """
    _check_lanes(lanes)
    while True:
        earlier = list_runs(blobs)
        _check_subscription(earlier, subscription)
        open_runs = [run for run in earlier.values() if not is_run_sealed(blobs, run.id, run.lanes)]
        if not take_over:
            _refuse_alive(blobs, clock, open_runs)
        token = _check_nonce(nonce())
        ordinal = max(earlier, default=0) + 1
        manifest = RunManifest(
            id=f"{ordinal:06d}-{token}",
            ordinal=ordinal,
            lanes=lanes,
            subscription=subscription,
            first_generation=_above_all(blobs, earlier),
            created_at=clock.wall(),
            nonce=token,
            sources=tuple(sorted(sources)),
            definitions=tuple(sorted(definitions)),
            boundary=boundary,
            predecessors=_to_replay(blobs, earlier, boundary),
            heartbeat_interval=heartbeat_interval,
            shards=shards,
        )
        if create_or_find(blobs, manifest_path(ordinal), manifest.encode()) is None:
            break
        # another start took this ordinal at the same time; from now on it is one of the earlier runs
    failpoint("after-manifest")
    _settle(blobs, clock, manifest, open_runs, failpoint)
    return manifest


def resume_run(
    blobs: BlobStore, clock: Clock, run: str, *, take_over: bool = False, failpoint: Failpoint = reached
) -> RunManifest:
    """Start again from a runner's own checkpoint: same id, same lanes, none of them sealed.

    Raises LaunchError for an unknown run, FencedError when a later run has replaced it, WriterAliveError while its own
    heartbeat changes, unless `take_over`. Completes the steps of a start that was killed.
    """
    manifest = load_run(blobs, run)
    if not manifest.shards:
        raise LaunchError(
            f"run {run} was begun by an earlier version, whose ids this one doesn't know again",
            "leave --resume out: a new run replays the journal",
        )
    runs = list_runs(blobs)
    if max(runs) != manifest.ordinal:
        raise FencedError(f"run {run} can't be resumed: run {runs[max(runs)].id} has replaced it")
    if not take_over:
        _refuse_alive(blobs, clock, [manifest])
    earlier = [r for r in runs.values() if r.ordinal < manifest.ordinal]
    open_runs = [r for r in earlier if not is_run_sealed(blobs, r.id, r.lanes)]
    _settle(blobs, clock, manifest, open_runs, failpoint)
    return manifest


def _settle(
    blobs: BlobStore, clock: Clock, manifest: RunManifest, open_runs: list[RunManifest], failpoint: Failpoint
) -> None:
    """The steps after a manifest; may be repeated any number of times."""
    heartbeat = Heartbeat(blobs, clock, manifest.id, manifest.heartbeat_interval)
    heartbeat.beat()
    # only after the manifest: a reader of this generation's marker finds the run that may write to it
    for generation in range(current_generation(blobs), manifest.first_generation):
        next_generation(blobs, clock, generation, manifest.id)
    for run in open_runs:
        lanes = seal_run(
            blobs, run.id, run.lanes, run.subscription, run.first_generation, manifest, written=clock.wall()
        )
        for _ in lanes:
            failpoint("after-lane-seal")
            heartbeat.beat()


def _refuse_alive(blobs: BlobStore, clock: Clock, runs: list[RunManifest]) -> None:
    alive = find_alive(blobs, clock, {run.id: run.heartbeat_interval for run in runs})
    if alive is not None:
        raise WriterAliveError(
            f"run {alive} writes this journal and is alive; stop it, or take over from it "
            f"(it then ends with exit code {FencedError.exit_code})"
        )


def _above_all(blobs: BlobStore, earlier: Mapping[int, RunManifest]) -> int:
    """A generation above every one that any lane can have written to so far."""
    return max(current_generation(blobs), *(run.first_generation for run in earlier.values()), 0) + 1


def _to_replay(blobs: BlobStore, earlier: Mapping[int, RunManifest], boundary: int) -> tuple[tuple[str, int], ...]:
    """Earlier runs, except those that are sealed and have no segments after the boundary."""
    replay = []
    for run in earlier.values():
        last = last_generation_of(blobs, run.id)
        if last is None or last > boundary:
            replay.append((run.id, run.lanes))
    return tuple(replay)


def _check_subscription(earlier: Mapping[int, RunManifest], subscription: str) -> None:
    for run in earlier.values():
        if run.subscription != subscription:
            raise LaunchError(f"this journal is of {run.subscription}, not of {subscription}: one journal each")


def _check_nonce(nonce: str) -> str:
    if not re.fullmatch(r"[0-9a-f]+", nonce):
        raise ValueError(f"nonce {nonce!r}: hexadecimal digits are expected")
    return nonce
