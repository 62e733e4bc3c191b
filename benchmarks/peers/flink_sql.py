"""Flink SQL by PyFlink: a batch job on an embedded cluster, at parallelism two.

The formats Avro and Parquet are jars from Maven, which `make bench` installs beside PyFlink where it can.
"""

from __future__ import annotations

import os
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

from benchmarks.peers.contract import Task, task

_TYPES = {"page": "STRING", "country": "STRING", "user_id": "BIGINT"}
_AVRO = "'format' = 'avro'"
_FORMATS = {"parquet": "'format' = 'parquet'", "jsonl": "'format' = 'json'", "avro": _AVRO, "avro-deflate": _AVRO}


def main() -> None:
    """Start Flink, then run the statement and wait."""
    one = task()
    environment = _environment()
    # A first job loads the planner and a cluster: what importing is to the others.
    environment.execute_sql("SELECT 1").wait()
    one.ready()
    for statement in _tables(one):
        environment.execute_sql(statement)
    environment.execute_sql(_insert(one)).wait()
    one.done()


def _environment() -> TableEnvironment:
    environment = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    settings = {
        "parallelism.default": "2",
        "taskmanager.memory.managed.size": "1500m",
        "table.exec.resource.default-parallelism": "2",
        "table.local-time-zone": "UTC",
    }
    jars = sorted(Path(os.environ.get("BENCHMARK_FLINK_JARS", "/nowhere")).absolute().glob("*.jar"))
    if jars:
        settings["pipeline.jars"] = ";".join(jar.as_uri() for jar in jars)
    for name, value in settings.items():
        environment.get_config().set(name, value)
    return environment


def _tables(task: Task) -> list[str]:
    time = {"jsonl": "BIGINT", "parquet": "TIMESTAMP(6)"}.get(task.form, "BIGINT")
    source = Path(task.files[0]).parent.as_uri()
    keys = ", ".join(f"{name} {_TYPES[name]}" for name in task.keys)
    return [
        f"""CREATE TABLE clicks (event_id STRING, event_time {time}, user_id BIGINT, page STRING, country STRING,
            amount DOUBLE) WITH ('connector' = 'filesystem', 'path' = '{source}', {_FORMATS[task.form]})""",
        f"""CREATE TABLE answers ({keys}, tile BIGINT, events BIGINT, amount DOUBLE, least DOUBLE, most DOUBLE,
            mean DOUBLE, users BIGINT) WITH ('connector' = 'filesystem', 'path' = '{task.out.as_uri()}',
            'format' = 'json')""",
    ]


def _insert(task: Task) -> str:
    """Copies are equal in all fields, so a DISTINCT keeps one of each."""
    keys = ", ".join(task.keys)
    columns = ", ".join(task.columns)
    minute = "event_time / 60000000"
    if task.form == "parquet":
        minute = "TIMESTAMPDIFF(MINUTE, TIMESTAMP '1970-01-01 00:00:00', event_time)"
    return f"""
        INSERT INTO answers
        SELECT {keys}, minute_ * CAST(60000000 AS BIGINT), COUNT(*), SUM(amount), MIN(amount), MAX(amount), AVG(amount),
            APPROX_COUNT_DISTINCT(user_id)
        FROM (SELECT *, {minute} AS minute_ FROM (SELECT DISTINCT {columns} FROM clicks))
        GROUP BY {keys}, minute_"""


if __name__ == "__main__":
    main()
