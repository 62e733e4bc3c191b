"""Pathway: a static read, copies removed by a reduce, tumbling windows; two threads by PATHWAY_THREADS."""

from __future__ import annotations

import pathway as pw

from benchmarks.peers.contract import Task, main


class Click(pw.Schema):  # type: ignore[misc]
    """A line of a JSON Lines file."""

    event_id: str
    event_time: int
    user_id: int
    page: str
    country: str
    amount: float


def work(task: Task) -> None:
    """Build the dataflow and run it."""
    events = _read(task)
    columns = [events[name] for name in task.columns]
    # Copies are equal in all fields: grouping by all of them keeps one, and needs no reducer's state beside it.
    once = events.groupby(*columns).reduce(*columns)
    once = once.with_columns(tile=once.event_time // 60_000_000 * 60_000_000)
    keys = [once[name] for name in task.keys]
    answers = once.groupby(*keys, once.tile).reduce(
        **{name: once[name] for name in task.keys},
        tile=once.tile,
        events=pw.reducers.count(),
        amount=pw.reducers.sum(once.amount),
        least=pw.reducers.min(once.amount),
        most=pw.reducers.max(once.amount),
        mean=pw.reducers.avg(once.amount),
        users=pw.reducers.count_distinct_approximate(once.user_id, precision=12),
    )
    pw.io.jsonlines.write(answers, str(task.out / "answers.jsonl"))
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


def _read(task: Task) -> pw.Table:
    if task.form == "jsonl":
        import os

        return pw.io.jsonlines.read(os.path.dirname(task.files[0]), schema=Click, mode="static")
    import pandas as pd

    frame = pd.concat([pd.read_parquet(file, columns=task.columns) for file in task.files], ignore_index=True)
    frame["event_time"] = frame["event_time"].astype("int64")
    return pw.debug.table_from_pandas(frame)


if __name__ == "__main__":
    main(work)
