"""DuckDB: one statement, on all threads. Of a duplicated event any copy is taken, since they are equal."""

from __future__ import annotations

import duckdb

from benchmarks.peers.contract import Task, main

_JSON = (
    "{event_id: 'VARCHAR', event_time: 'BIGINT', user_id: 'BIGINT', page: 'VARCHAR', country: 'VARCHAR', "
    "amount: 'DOUBLE'}"
)


def work(task: Task) -> None:
    """Copy the statement's rows into a Parquet file."""
    keys = ", ".join(task.keys)
    once = ", ".join(f"any_value({name}) AS {name}" for name in task.columns if name != "event_id")
    duckdb.sql(
        f"""
        COPY (
            SELECT {keys}, time_bucket(INTERVAL 1 minute, event_time) AS tile,
                count(*) AS events, sum(amount) AS amount, min(amount) AS least, max(amount) AS most,
                avg(amount) AS mean, approx_count_distinct(user_id) AS users
            FROM (SELECT event_id, {once} FROM {_source(task)} GROUP BY event_id)
            GROUP BY {keys}, tile
        ) TO '{task.out / "answers.parquet"}' (FORMAT parquet)
        """
    )


def _source(task: Task) -> str:
    files = list(task.files)
    if task.form == "parquet":
        return f"read_parquet({files})"
    read = f"read_json({files}, format = 'newline_delimited', columns = {_JSON})"
    return f"(SELECT * REPLACE (make_timestamp(event_time) AS event_time) FROM {read})"


if __name__ == "__main__":
    main(work)
