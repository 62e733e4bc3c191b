"""What is done once a run's job has ended, be it a writer's or a follower's."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import sales

from tandem.journal.clocks import SystemClock
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.tail import follower_id
from tandem.pipelines.unbounded.live_runs import end_live_runs
from tandem.runners.options.places import Home
from tandem.schemas.errors import PublishRefusedError
from tandem.schemas.privacy.files import need_folder
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.views.storage.opening import open_store


def writer(home: Home) -> str:
    return start_run(LocalBlobs(home.journal), SystemClock(), lanes=1, subscription="projects/p/subscriptions/s").id


def follower(home: Home) -> str:
    return follower_id(SystemClock(), "0a0a")


@pytest.mark.parametrize("run_of", [writer, follower])
def test_a_mark_of_a_worker_that_woke_up_hinders_nothing_any_more(tmp_path: Path, run_of: object) -> None:
    """A worker that was taken for dead may mark a tile as one that hasn't caught up, and nobody takes that back."""
    home, definition = Home.at(str(tmp_path)), sales.definition()
    need_folder(home.journal)
    store = open_store(home.store)
    store.definitions.register(sales.compiled(), sales.text())
    run = run_of(home)  # type: ignore[operator]
    store.live.start(definition.version, run, journal=home.journal)
    store.live.mark_behind(definition.version, run, 0, 0)
    with pytest.raises(PublishRefusedError, match="have not caught up"):
        store.publishing.serve_live(definition.name, definition.version, run)

    end_live_runs(store, home, [definition], [LiveRunRef(home.store, run, None)])
    served = store.publishing.served(definition.name)
    assert served is not None
    assert served.live_run == run
