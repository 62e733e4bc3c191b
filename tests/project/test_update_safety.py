"""A change that a running job's savepoint doesn't survive is acknowledged in CHANGELOG.md, with the way to migrate.

Two things decide it: the part of a live graph that finds kept state (`digest_of_state`), and the bytes of that state
(`golden_kept_state.json`). Each has a digest. One that isn't of those with which this began must be named by a line
of CHANGELOG.md: "state of live 0123abcd: ..." or "kept state 0123abcd: ...", with what users of such jobs have to do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import BytesCoder, VarIntCoder
from apache_beam.transforms import window
from apache_beam.transforms.userstate import BagStateSpec, TimeDomain, TimerSpec, on_timer
from on_engines import graphs, kept_state

from tandem.runners.plan.findings import Level
from tandem.runners.plan.graph import graph_of
from tandem.runners.plan.launch import Engine
from tandem.runners.plan.updates import GraphRecord, compared, digest_of_state

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
UNBOUNDED = ("live", "follow", "native")
BEGAN = {"live": "cfb7478c", "follow": "cfb7478c", "native": "08352c46", "kept state": "892e1329"}
"""With what keeping them began."""
ACKNOWLEDGE = """
{what} has changed: its digest is {digest}. A live job that is running can't resume its savepoint with this
version, or update it in place. If that is meant, add a line to CHANGELOG.md that says what they have to do:
- {name} {digest}: (what changed, and how to migrate; say: drain it, and start a new run, which replays the journal)"""


def acknowledged(name: str, digest: str, changelog: str) -> bool:
    """Whether CHANGELOG.md names a digest, and says something of it."""
    return bool(re.search(rf"{name} {digest}: \S.{{20,}}", changelog))


def name_of(pipeline: str) -> str:
    return f"state of {pipeline}"


@pytest.mark.parametrize("pipeline", UNBOUNDED)
def test_changes_of_where_state_is_found_are_acknowledged(pipeline: str) -> None:
    digest, name = digest_of_state(graphs.read_golden(pipeline).steps), name_of(pipeline)
    fine = digest == BEGAN[pipeline] or acknowledged(name, digest, CHANGELOG.read_text(encoding="utf-8"))
    assert fine, ACKNOWLEDGE.format(what=f"What {pipeline} keeps", digest=digest, name=name)


def test_changes_of_the_bytes_that_are_kept_are_acknowledged() -> None:
    if os.environ.get("TANDEM_WRITE_GOLDEN") and _outdated():
        kept_state.write_kept()
    digest = kept_state.digest_of(kept_state.read_kept())
    fine = digest == BEGAN["kept state"] or acknowledged("kept state", digest, CHANGELOG.read_text(encoding="utf-8"))
    assert fine, ACKNOWLEDGE.format(what="What a runner keeps of a live job", digest=digest, name="kept state")


def _outdated() -> bool:
    kept = kept_state.read_kept() if kept_state.FILE.exists() else {}
    return set(kept) != set(kept_state.KEPT) or bool(kept_state.read_all(kept))


UNREADABLE = """
what a runner keeps of a job that an earlier version started can't be read any more, so its savepoint can't be
resumed. Read both forms, or, if breaking it is meant, run this file with TANDEM_WRITE_GOLDEN=1 and acknowledge it.
{wrong}"""


def test_what_earlier_versions_kept_can_be_read() -> None:
    wrong = kept_state.read_all(kept_state.read_kept())
    assert wrong == {}, UNREADABLE.format(wrong="\n".join(f"{name}: {why}" for name, why in wrong.items()))


def test_everything_that_is_kept_is_written_down() -> None:
    assert set(kept_state.read_kept()) == set(kept_state.KEPT) == set(kept_state.READ)


# teeth


class Fold(beam.DoFn):  # type: ignore[misc]
    """State and a timer, as the live fold has them."""

    ENTRIES = BagStateSpec("entries", BytesCoder())
    CLEAR = TimerSpec("clear", TimeDomain.WATERMARK)

    def process(
        self,
        pair: tuple[int, bytes],
        entries: Any = beam.DoFn.StateParam(ENTRIES),
        clear: Any = beam.DoFn.TimerParam(CLEAR),
    ) -> Iterator[bytes]:
        yield pair[1]

    @on_timer(CLEAR)  # type: ignore[untyped-decorator]
    def clear_all(self) -> None:
        return None


class OtherCoder(Fold):
    ENTRIES = BagStateSpec("entries", VarIntCoder())

    def process(  # type: ignore[override]
        self, pair: tuple[int, bytes], entries: Any = beam.DoFn.StateParam(ENTRIES)
    ) -> Iterator[bytes]:
        yield pair[1]


class OtherState(Fold):
    KEPT = BagStateSpec("kept", BytesCoder())

    def process(  # type: ignore[override]
        self, pair: tuple[int, bytes], entries: Any = beam.DoFn.StateParam(KEPT)
    ) -> Iterator[bytes]:
        yield pair[1]


class Stateless(beam.DoFn):  # type: ignore[misc]
    def process(self, pair: tuple[int, bytes]) -> Iterator[bytes]:
        yield pair[1]


def job(
    label: str = "Fold",
    fold: Callable[[], beam.DoFn] = Fold,
    keys: Any = int,
    windows: Any = None,
    tail: str = "Write",
    branch: bool = False,
    grouped: bool = False,
) -> GraphRecord:
    pipeline = beam.Pipeline()
    pairs = (
        pipeline | "Made" >> beam.Create([(1, b"")]) | "Pairs" >> beam.Map(tuple).with_output_types(tuple[keys, bytes])
    )
    windowed = pairs | "Windows" >> beam.WindowInto(windows or window.GlobalWindows())
    folded = windowed | label >> beam.ParDo(fold()).with_output_types(bytes)
    if branch:
        _ = windowed | "Branch" >> beam.Map(str).with_output_types(str)
    if grouped:
        _ = windowed | "Group" >> beam.GroupByKey()
    _ = folded | tail >> beam.Map(len).with_output_types(int)
    return GraphRecord("job", graph_of(pipeline).steps)


@pytest.mark.parametrize(
    ("after", "codes"),
    [
        pytest.param({"label": "Folded"}, {"update-state-lost"}, id="a-stateful-step-is-renamed"),
        pytest.param({"fold": Stateless}, {"update-state", "update-timer"}, id="its-state-is-gone"),
        pytest.param({"fold": OtherState}, {"update-state", "update-timer"}, id="another-state"),
        pytest.param({"fold": OtherCoder}, {"update-state", "update-timer"}, id="another-coder-of-state"),
        pytest.param({"keys": str}, {"update-coder", "update-timer"}, id="another-coder-of-keys"),
        pytest.param({"windows": window.FixedWindows(60)}, {"update-windowing", "update-timer"}, id="other-windows"),
    ],
)
def test_changes_that_break_a_running_job_are_found(after: dict[str, Any], codes: set[str]) -> None:
    before, now = job(), job(**after)
    found = [one for one in compared(before, now, Engine.FLINK) if one.level is Level.ERROR]
    assert {one.code for one in found} == codes
    assert digest_of_state(before.steps) != digest_of_state(now.steps)
    assert all("Fold" in one.where for one in found)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param({"branch": True}, id="a-new-branch"),
        pytest.param({"tail": "Send"}, id="a-step-that-keeps-nothing-is-renamed"),
    ],
)
def test_changes_that_break_nothing_are_let_through(after: dict[str, Any]) -> None:
    before, now = job(), job(**after)
    assert before != now
    assert not [one for one in compared(before, now, Engine.FLINK) if one.level is not Level.NOTE]
    assert digest_of_state(before.steps) == digest_of_state(now.steps)


def test_a_group_by_key_keeps_something_too() -> None:
    before, now = job(grouped=True), job()
    assert [one.code for one in compared(before, now, Engine.FLINK)] == ["update-state-lost"]
    assert digest_of_state(before.steps) != digest_of_state(now.steps)
    assert [one.code for one in compared(now, before, Engine.FLINK)] == ["update-new-state"]


def test_dataflow_refuses_more() -> None:
    found = [one for one in compared(job(), job(tail="Send"), Engine.DATAFLOW) if one.level is Level.ERROR]
    assert [one.code for one in found] == ["update-step-gone"]


@pytest.mark.parametrize(
    ("line", "known"),
    [
        pytest.param("- state of live 0123abcd: Fold is renamed; drain it and start a new run.", True, id="said"),
        pytest.param("- state of live 0123abcd:", False, id="nothing-said"),
        pytest.param(
            "- state of follow 0123abcd: Fold is renamed; drain it and start a new run.", False, id="of-another"
        ),
        pytest.param("- state of live 9999abcd: Fold is renamed; drain it and start a new run.", False, id="older"),
    ],
)
def test_what_acknowledges_a_change(line: str, known: bool) -> None:
    assert acknowledged("state of live", "0123abcd", f"# Changelog\n{line}\n") is known


def damaged() -> dict[str, tuple[bytes, Any]]:
    return {name: (data[:-9], says) for name, (data, says) in kept_state.read_kept().items()}


def saying_otherwise() -> dict[str, tuple[bytes, Any]]:
    return {name: (data, None) for name, (data, _) in kept_state.read_kept().items()}


def older_class() -> dict[str, tuple[bytes, Any]]:
    """As if today's run manifest had a field that the one which was pickled hadn't."""
    kept = kept_state.read_kept()
    name = "restriction of a lane"
    return {name: (kept[name][0].replace(b"000002-ab", b"000003-ab"), kept[name][1])}


@pytest.mark.parametrize("break_it", [damaged, saying_otherwise, older_class])
def test_kept_state_that_cant_be_read_is_found(break_it: Callable[[], dict[str, tuple[bytes, Any]]]) -> None:
    broken = break_it()
    assert set(kept_state.read_all(broken)) == set(broken)


def test_an_update_is_told_of_other_software(tmp_path: Path) -> None:
    before = replace(job(), software={"beam": "2.77.0", "python": "3.11"})
    after = replace(before, software={"beam": "2.78.0", "python": "3.11"})
    assert [one.code for one in compared(before, after, Engine.FLINK)] == ["update-software"]


def test_an_update_is_told_of_settings_that_name_the_state() -> None:
    before = replace(job(), settings={"operator_chaining": "off", "max_parallelism": "128"})
    after = replace(before, settings={"operator_chaining": "on", "max_parallelism": "128"})
    assert [(one.code, one.where) for one in compared(before, after, Engine.FLINK)] == [
        ("update-setting", "--operator_chaining")
    ]
    assert not list(compared(job(), after, Engine.FLINK))
