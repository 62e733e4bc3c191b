"""What a runner says of a failure names things as a user knows them."""

from __future__ import annotations

import apache_beam as beam
import pytest

from tandem.runners.submission.failures import failure, full_disk
from tandem.runners.submission.launching import FN_API_RUNNER, launch, wait
from tandem.schemas import errors
from tandem.schemas.errors import FencedError, JournalError, SegmentError, SourceFileError, StoreError, TandemError

BEAM = """Pipeline job-001 failed in state FAILED: bundle inst003 failed:Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1498, in apache_beam.runners.common.DoFnRunner.process
{first}

During handling of the above exception, another exception occurred:
Traceback (most recent call last):
{last} [while running 'PubSub/Read/ParDo(_Read)-ptransform-31']
"""
LANE = "lane 000001-ab/0000: sealed for ever by run 000002-cd"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        pytest.param(BEAM.format(first="x", last=f"tandem.schemas.errors.FencedError: {LANE}"),
                     FencedError, LANE, id="fenced"),
        pytest.param(BEAM.format(first="x", last="tandem.schemas.errors.SegmentError: lanes/1.avro: cut short"),
                     SegmentError, "lanes/1.avro: cut short", id="as it is installed"),
        pytest.param("E: tandem.schemas.errors.SourceFileError: a.csv: cut short at line 7 [while running 'I/R']",
                     SourceFileError, "a.csv: cut short at line 7", id="on one line"),
        pytest.param(repr(BEAM.format(first="y", last="tandem.schemas.errors.StoreError: store v.db: disk is full")),
                     StoreError, "store v.db: disk is full", id="escaped"),
        pytest.param("Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 12: "
                     "Traceback\nschemas.errors.JournalError: no run\n\tat org.apache.beam.Fn.run(Fn.java:1)",
                     JournalError, "no run", id="of Flink"),
        pytest.param("ValueError: bad [while running 'Input/Read']", TandemError,
                     "the pipeline failed: ValueError: bad", id="of Python"),
        pytest.param("google.api_core.exceptions.NotFoundError: no topic", TandemError,
                     "the pipeline failed: NotFoundError: no topic", id="of a library"),
        pytest.param("tandem.schemas.errors.NoSuchError: gone", TandemError, "gone", id="of another release"),
        pytest.param(BEAM.format(first="x", last="OSError: [Errno 28] No space left on device: '/h/journal/beats/.a'"),
                     TandemError, full_disk("/h/journal/beats/.a"), id="a full disk"),
        pytest.param("OSError: [Errno 122] Disk quota exceeded", TandemError, full_disk(None), id="a quota"),
        pytest.param("", TandemError, "the pipeline failed: unknown", id="nothing said"),
        pytest.param("went away", TandemError, "the pipeline failed: went away", id="no error"),
    ],
)  # fmt: skip
def test_failures_are_told_in_one_line(text: str, kind: type[TandemError], message: str) -> None:
    found = failure(text)
    assert (type(found), found.exit_code) == (kind, kind.exit_code)
    assert str(found).rstrip("'") == message


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_comes_through(name: str) -> None:
    found = failure(f"Traceback\nschemas.errors.{name}: what happened [while running 'A/B']")
    assert str(found) == "what happened"
    assert found.exit_code == getattr(errors, name).exit_code


@pytest.mark.parametrize("error", [SourceFileError("a.csv: cut short"), StoreError("store v.db: disk is full")])
def test_an_error_of_a_step_in_this_process_names_no_step(error: TandemError) -> None:
    def fail(_: int) -> None:
        raise error

    pipeline = beam.Pipeline(runner=FN_API_RUNNER)
    _ = pipeline | "Input" >> beam.Create([1]) | "Read" >> beam.Map(fail)
    with pytest.raises(type(error)) as raised:
        wait(launch(pipeline))
    assert str(raised.value) == str(error)


def test_a_full_disk_is_named_by_its_folder() -> None:
    assert full_disk("/h/journal/beats/.a.tmp").startswith("no room is left on the disk of /h/journal/beats: make some")
    assert full_disk(None).startswith("no room is left on a disk: make some")
