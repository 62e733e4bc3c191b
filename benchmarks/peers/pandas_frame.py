"""pandas: one frame, with strings and numbers as Arrow columns."""

from __future__ import annotations

import pandas as pd

from benchmarks.peers.contract import Task, main


def work(task: Task) -> None:
    """Group the frame and write its rows into a Parquet file."""
    events = pd.concat([_read(task, file) for file in task.files]).drop_duplicates("event_id")
    time = events["event_time"]
    if task.form == "jsonl":
        time = pd.to_datetime(time, unit="us", utc=True)
    events["tile"] = time.dt.floor("min")
    # A key of its own name beside the aggregates: "user_id" is both key and counted column in one of the jobs.
    groups = events.assign(user=events["user_id"]).groupby([*task.keys, "tile"], sort=False, observed=True)
    answers = groups.agg(
        events=("amount", "size"),
        sum=("amount", "sum"),
        least=("amount", "min"),
        most=("amount", "max"),
        mean=("amount", "mean"),
        users=("user", "nunique"),
    )
    answers.reset_index().rename(columns={"sum": "amount"}).to_parquet(task.out / "answers.parquet", index=False)


def _read(task: Task, file: str) -> pd.DataFrame:
    if task.form == "parquet":
        return pd.read_parquet(file, columns=task.columns, dtype_backend="pyarrow")
    return pd.read_json(file, lines=True, engine="pyarrow", dtype_backend="pyarrow")[task.columns]


if __name__ == "__main__":
    main(work)
