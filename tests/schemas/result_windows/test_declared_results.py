# ruff: noqa: E501 - tables of exact messages
"""The `results:` section: what can be declared, what is refused, and that it makes no other version."""

from __future__ import annotations

import pytest

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.definition.models import Definition
from tandem.schemas.errors import DefinitionError
from tandem.schemas.result_windows.checks import states_a_second
from tandem.schemas.time.durations import DAY, MINUTE, SECOND

TEXT = """\
name: clicks
source:
  schema: {type: record, name: Click, fields: [
    {name: id, type: string}, {name: at, type: {type: long, logicalType: timestamp-micros}},
    {name: price, type: double}, {name: units, type: long}]}
  format: json
  event_id: id
  event_time: at
key: []
tile: 1m
lateness: 10m
measures: {n: count, units: {sum: units}, price: {sum: price}}
"""


def declared(result: str, base: str = TEXT) -> Definition:
    definition = loads(f"{base}results: {{r: {result}}}\n", file="c.yaml")
    compile_definition(definition)
    return definition


def wrong(result: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        declared(result)
    return str(caught.value).partition("results.r")[2]


def test_all_that_can_be_said() -> None:
    text = """{window: {size: 1h, every: 5m}, trigger: {early: 10s, late: 5m}, lateness: 1h, mode: retracting,
        where: n > 3 AND events < 9, to: [log, {files: out}, {pubsub: projects/p/topics/t}], keys: 50}"""
    result = declared(text).results["r"]
    assert result.trigger.early == 10 * SECOND
    assert result.trigger.late == 5 * MINUTE
    assert result.lateness_of(0) == 60 * MINUTE
    assert [output.label for output in result.to] == ["log", "files out", "pubsub projects/p/topics/t"]
    assert states_a_second(result, MINUTE) == pytest.approx(50 * 60 * (1 / 300 + 1 / 10))


def test_what_is_not_said() -> None:
    result = declared("{window: 1m, to: log}").results["r"]
    assert (result.trigger.early, result.trigger.late, result.mode) == (None, "each", "accumulating")
    assert result.lateness_of(10 * MINUTE) == 10 * MINUTE


@pytest.mark.parametrize(
    "window",
    ["1m", "{size: 1d, every: 1h}", "{calendar: day, zone: Europe/Berlin}", "{session: 30m}"],
)
def test_windows(window: str) -> None:
    assert declared(f"{{window: {window}, to: log}}").results["r"].window


def test_results_make_no_other_version_unless_they_bring_the_first_session() -> None:
    without = loads(TEXT).version
    with_session = loads(f"{TEXT}windows: {{v: {{session: 30m}}}}\n").version
    assert declared("{window: 1m, to: log}").version == without
    assert declared("{window: {session: 5m}, to: log}").version == with_session != without
    sessions_too = f"{TEXT}windows: {{v: {{session: 30m}}}}\n"
    assert declared("{window: {session: 5m}, to: log}", sessions_too).version == with_session


@pytest.mark.parametrize(
    ("result", "message"),
    [
        pytest.param("{window: 30s, to: log}", ".window.size: 30s is not a whole multiple of the tile, 1m", id="size"),
        pytest.param("{window: 1m}", ": 'to' is missing; required: window, to", id="no-output"),
        pytest.param("{window: 1m, to: []}", ".to: 0 outputs; allowed are 1 to 8", id="empty-outputs"),
        pytest.param("{window: 1m, to: {kafka: x}}", ".to[0]: an output is one of log, files: PLACE, pubsub: TOPIC, bigquery: TABLE; found none of them", id="unknown-output"),
        pytest.param("{window: 1m, to: {files: }}", ".to[0]: an output is one of log, files: PLACE, pubsub: TOPIC, bigquery: TABLE; found none of them", id="output-without-a-place"),
        pytest.param("{window: 1m, to: {log}}", ".to[0]: an output is one of log, files: PLACE, pubsub: TOPIC, bigquery: TABLE; found none of them", id="output-in-braces"),
        pytest.param("{window: 1m, to: {log: true, files: a}}", ".to[0]: an output is one of log, files: PLACE, pubsub: TOPIC, bigquery: TABLE; found log and files", id="two-in-one"),
        pytest.param("{window: 1m, to: [log, log]}", ".to: 'log' twice; write each output once", id="twice"),
        pytest.param("{window: 1m, to: {pubsub: t}}", ".to[0].pubsub: 't' is not a topic; write projects/PROJECT/topics/NAME", id="topic"),
        pytest.param("{window: 1m, to: {files: 'hdfs://a/b'}}", ".to[0].files: 'hdfs://a/b' is no place; write a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX", id="place"),
        pytest.param("{window: 1m, to: {files: 's3://'}}", ".to[0].files: 's3://' is no place; write a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX", id="no-bucket"),
        pytest.param("{window: 1m, to: {files: 's3://me:secret@b/c'}}", ".to[0].files: s3://***@...: no credentials in a URL; they come from the environment", id="credentials"),
        pytest.param("{window: 1m, to: {log: true, format: avro}}", ".to[0]: log as 'avro'; its formats are json", id="log-as-avro"),
        pytest.param("{window: 1m, to: {pubsub: projects/p/topics/t, format: parquet}}", ".to[0]: pubsub as 'parquet'; its formats are json, avro", id="topic-as-parquet"),
        pytest.param("{window: 1m, to: {bigquery: a.b}}", ".to[0].bigquery: 'a.b' is not a table of BigQuery; write PROJECT.DATASET.TABLE", id="table"),
        pytest.param("{window: 1m, to: {files: a, format: csv}}", ".to[0]: files as 'csv'; its formats are json, avro, parquet", id="csv"),
        pytest.param("{window: 1m, to: log, mode: adding}", ".mode: found 'adding'; allowed: 'accumulating', 'discarding', 'retracting'", id="mode"),
        pytest.param("{window: 1m, to: log, mode: discarding}", ".mode: discarding sends differences, which are exact for counts and for sums of integers and decimals; 'price' is neither: use accumulating or retracting", id="inexact-differences"),
        pytest.param("{window: {session: 5m}, to: log, mode: discarding}", ".mode: sessions grow together, which differences can't say: use accumulating or retracting", id="differences-of-sessions"),
        pytest.param("{window: {since: ever}, to: log}", ".window.since: such a window ends when it is asked for, so nothing can be on time: use another, or query it", id="cumulative"),
        pytest.param("{window: 1m, to: log, trigger: {erly: 1s}}", ".trigger.erly: unknown field 'erly'; did you mean 'early'? allowed: early, late", id="misspelt"),
        pytest.param("{window: 1m, to: log, trigger: {early: 5m}}", ".trigger.early: 5m is longer than the window, 1m: nothing would be early", id="early-too-long"),
        pytest.param("{window: 1m, to: log, trigger: {early: 10ms}}", ".trigger.early: 10ms is too short; at least 100ms", id="early-too-short"),
        pytest.param("{window: 1m, to: log, lateness: 1m}", ".lateness: 1m is shorter than the definition's, 10m: results would be final while live still takes events in", id="lateness-too-short"),
        pytest.param("{window: 1m, to: log, trigger: {late: 20m}}", ".trigger.late: 20m is longer than the lateness, 10m: it would never come before the final result; write never, or a longer lateness", id="late-after-the-lateness"),
        pytest.param("{window: {size: 28d, every: 1m}, to: log}", ".window: about 672,000 states a second would be merged for 1,000 keys, at most 200,000: use longer tiles, a longer step or a longer `early`, or say with `keys` that there are fewer", id="budget"),
        pytest.param("{window: 1m, to: log, where: m > 3}", ".where: unknown column 'm'; allowed: n, units, price, events", id="unknown-measure"),
        pytest.param("{window: 1m, to: log, where: n + 3}", ".where: the expression is bigint; it must be boolean", id="no-condition"),
    ],
)  # fmt: skip
def test_what_is_refused(result: str, message: str) -> None:
    assert wrong(result) == message


def test_fewer_keys_fit_the_budget() -> None:
    assert declared("{window: {size: 28d, every: 1m}, to: log, keys: 200}").results["r"].overlap == (28 * DAY, MINUTE)


def test_exact_differences_may_be_sent() -> None:
    base = TEXT.replace(", price: {sum: price}", "")
    assert declared("{window: 1m, to: log, mode: discarding}", base).results["r"].mode == "discarding"
