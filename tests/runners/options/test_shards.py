"""How many shards a run has: what is asked for, what the runner is parallel by, and what a resumed run has."""

from __future__ import annotations

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tandem.journal.runs.manifests import RunManifest
from tandem.runners.options.shards import check_shards, shards_for
from tandem.runners.options.values import shard_count
from tandem.schemas.errors import UserError


@pytest.mark.parametrize(
    ("asked", "flags", "shards"),
    [
        pytest.param(None, [], 1, id="on this machine"),
        pytest.param(3, [], 3, id="on this machine, as asked for"),
        pytest.param(None, ["--runner=FlinkRunner", "--parallelism=6"], 24, id="four for each worker of Flink"),
        pytest.param(None, ["--runner=FlinkRunner"], 1, id="Flink, whose parallelism isn't known"),
        pytest.param(None, ["--runner=FlinkRunner", "--parallelism=1000"], 256, id="never more than buckets"),
        pytest.param(2, ["--runner=FlinkRunner", "--parallelism=6"], 2, id="on Flink, as asked for"),
        pytest.param(None, ["--runner=DataflowRunner"], 1, id="another runner"),
    ],
)
def test_shards_are_as_asked_for_or_as_the_runner_is_parallel(asked: int | None, flags: list[str], shards: int) -> None:
    assert shards_for(asked, PipelineOptions(flags)) == shards


@pytest.mark.parametrize("text", ["0", "257", "-1", "two", "1.5", ""])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number from 1 to 256"):
        shard_count(text)


def test_a_resumed_run_keeps_its_number() -> None:
    run = RunManifest("000001-ab", 1, 1, "s", 1, 0, "ab", shards=4)
    check_shards(None, run)
    check_shards(4, run)
    with pytest.raises(UserError, match="--shards is 2, and run 000001-ab has 4"):
        check_shards(2, run)
