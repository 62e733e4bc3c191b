"""What the suites of processes wait by: a busy machine fails nothing, and what hangs is given up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from processes.patience import Patience

LOOKS = 5
EVERY = 10.0
LIMIT = 30.0


def note(proc: Path, thread: str, seconds: float) -> None:
    """As the kernel says how long a thread of process 7 has waited for a processor."""
    folder = proc / "7" / "task" / thread
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schedstat").write_text(f"1000 {int(seconds * 1e9)} 3\n")


@pytest.mark.parametrize(
    ("waited", "over"),
    [
        pytest.param({"7": [0, 0, 0, 0, 0, 0]}, True, id="it hangs, or computes without an end"),
        pytest.param({"7": [5, 15, 25, 35, 45, 55]}, False, id="it has no processor"),
        pytest.param({"7": [100, 103, 106, 109, 112, 115]}, True, id="it has one most of the time"),
        pytest.param({"7": [0, 0, 0, 0, 0, 0], "9": [0, 9, 18, 27, 36, 45]}, False, id="one of its threads has none"),
        pytest.param({"7": [0, 99, 99, 99, 99, 99]}, True, id="it waited once, for a long time"),
        pytest.param({}, True, id="a kernel that doesn't count"),
    ],
)
def test_only_time_with_a_processor_is_counted(tmp_path: Path, waited: dict[str, Sequence[float]], over: bool) -> None:
    now = [0.0]
    for thread, times in waited.items():
        note(tmp_path, thread, times[0])
    patience = Patience(LIMIT, lambda: [7, 8], lambda: now[0], tmp_path)
    for look in range(1, LOOKS + 1):
        assert not patience.is_over() or over
        now[0] += EVERY
        for thread, times in waited.items():
            note(tmp_path, thread, times[look])
    assert patience.is_over() is over
