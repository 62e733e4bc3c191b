"""`tandem diff`, `promote`, `drop`, and rolling back across versions, on a view store that was written by hand."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.rows import BatchManifest, FileSet, GenerationCounts, LaneExtent, SegmentFile
from tandem.views.storage.tables import batch_states, live_states

OLD_RUN, FOLLOWER = "000001-aa", "f-00001-bb"


def changed(installation: Any, *changes: tuple[str, str], name: str = "new.yaml") -> Any:
    """The same home with another version of the definition, registered."""
    text = installation.text
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    other = copy.copy(installation)
    other.text, other.file = text, installation.file.with_name(name)
    other.file.write_text(text, encoding="utf-8")
    other.compiled = compile_definition(load(other.file))
    other.version = other.compiled.version
    other.store.definitions.register(other.compiled, text)
    return other


TRIPLED = ("amount: {sum: amount}", "amount: {sum: tripled}"), ("key: ", "derive: {tripled: amount * 3}\nkey: ")
SHORTER = (("lateness: 1h", "lateness: 30m"),)


def batch_orders(installation: Any) -> list[Any]:
    order = installation.Order
    return [order(8.1, 2.5), order(8.2, 4.0), order(8.3, 1.0, shop="oak")]


def follow(installation: Any, generations: Sequence[int] = (2, 3), *, lost: int = 0, takeover: bool = True) -> None:
    """A follower's run over the segments that the served run has; `lost` events of the last are still on their way."""
    order, store = installation.Order, installation.store
    extents = (LaneExtent(f"{OLD_RUN}/0000", 3, 2),) if takeover else ()
    store.live.start(installation.version, FOLLOWER, base_batch_run="b-2", takeover=extents)
    orders = {2: order(8.5, 8.0, generation=2), 3: order(9.5, 16.0, generation=3)}
    for generation in generations:
        gone = lost if generation == generations[-1] else 0
        segment = installation.Segment(f"{OLD_RUN}/0000", generation, generation, 1, 1)
        store.live.write_segments(installation.version, FOLLOWER, [segment])
        if not gone:
            store.live.write(installation.compiled, FOLLOWER, list(installation.updates([orders[generation]])))


def build(installation: Any, files: Sequence[str] = (), *, run: str = "b-2", orders: Sequence[Any] = ()) -> None:
    """A complete batch run up to generation 1, with files of no events."""
    store, sets = installation.store, (FileSet(-1, "files"),) if files else ()
    store.batch.start(installation.version, run, boundary=1, file_sets=sets)
    orders = orders or batch_orders(installation)
    store.batch.write(installation.compiled, run, list(installation.updates(orders)))
    counts = [GenerationCounts(1, received=3, counted=3), *(GenerationCounts(s.generation) for s in sets)]
    read = tuple(SegmentFile(f"/data/{name}", 10, f"digest of {name}", 0) for name in files)
    segment = SegmentFile("runs/000001/0000/1.avro", 0, "digest of segment", 3)
    store.batch.finish(run, BatchManifest(tuple(counts), (*read, segment)))


def refused(installation: Any, *arguments: str) -> str:
    before = installation.store.publishing.served("orders")
    result = installation.run(*arguments)
    assert result.exit_code in (1, 2), result.output
    assert installation.store.publishing.served("orders") == before
    assert result.output.startswith("error: ")
    assert len(result.output.splitlines()) == 1
    return str(result.output)


def amount(installation: Any, hour: float = 8) -> Any:
    start = f"2026-01-05T{int(hour):02d}:00:00"
    arguments = ["--key", "mill,EUR", "--from", start, "--to", f"2026-01-05T{int(hour) + 1:02d}:00:00", "--json"]
    result = installation.run("query", "orders", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)["results"]["amount"]


def test_promote_and_back_and_drop(served: Any) -> None:
    new = changed(served, *TRIPLED)
    build(new)
    follow(new)
    assert amount(served) == 14.5
    assert FOLLOWER in served.run("status", "orders", "--json").output
    assert served.run("status", "orders").exit_code == 0
    result = served.run("promote", str(new.file), "--note", "three times")
    assert result.exit_code == 0, result.output
    assert f"orders: publication 2 serves version {new.version}: batch run b-2, boundary 1, live run {FOLLOWER}" in (
        result.output
    )
    assert f"`tandem roll-back orders 1` goes back to version {served.version}" in result.output
    assert amount(served) == 43.5
    now = served.store.publishing.served("orders")
    assert (now.kind, now.note) == ("promote", "three times")
    assert "is served already" in refused(served, "promote", str(new.file), "--wait", "0s")
    assert "is served and can't be dropped; roll back first" in refused(served, "drop", str(new.file))
    assert served.run("roll-back", "orders", "1").exit_code == 0
    assert amount(served) == 14.5
    assert served.store.publishing.served("orders").live_run == OLD_RUN
    dropped = served.run("drop", "orders")
    assert f"dropped version {new.version}: 2 live rows, 2 batch rows, 1 live runs, 1 batch runs" in dropped.output
    with served.store.database.read() as connection:
        rows = [
            connection.execute(sa.select(sa.func.count()).select_from(t)).scalar() for t in (live_states, batch_states)
        ]
    assert rows == [4, 2], "the served version's rows stay"
    assert amount(served) == 14.5
    assert "'b-2' is DROPPED, only a COMPLETE one can be published" in refused(served, "roll-back", "orders", "2")
    assert "no other version was built" in refused(served, "drop", "orders")


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        pytest.param([], "nothing was built of version", id="nothing-built"),
        pytest.param([("build", {})], "without a live run there isn't segment 2 of lane", id="no-live-run"),
        pytest.param([("build", {}), ("follow", {"generations": ()})], "doesn't have segment 2", id="no-segments"),
        pytest.param([("build", {}), ("follow", {"generations": (2,)})], "doesn't have segment 3 of lane 000001-aa/0000"
                     " (generation 3), which is served", id="behind"),
        pytest.param([("build", {}), ("follow", {"lost": 1})], "has dealt with 0 of the 1 messages of generation 3"
                     " that are served", id="on-its-way"),
    ],
)  # fmt: skip
def test_promoting_too_early_is_refused(served: Any, steps: list[tuple[str, dict[str, Any]]], why: str) -> None:
    new = changed(served, *TRIPLED)
    for step, options in steps:
        steps_of: dict[str, Any] = {"build": build, "follow": follow}
        steps_of[step](new, **options)
    assert why in refused(served, "promote", str(new.file), "--wait", "0s")


def test_promoting_without_the_generations_that_are_served_is_refused(served: Any) -> None:
    new = changed(served, *TRIPLED)
    served.store.live.start(new.version, FOLLOWER)
    assert "boundary 0 is below 1, the one that is served" in refused(served, "promote", str(new.file), "--wait", "0s")


@pytest.fixture
def with_files(empty: Any) -> Any:
    """Served: a batch run of two files."""
    build(empty, ["one.csv", "two.csv"], run="b-1")
    empty.store.publishing.publish("orders", empty.version, "b-1")
    return empty


def test_files_must_not_be_given_up(with_files: Any) -> None:
    new = changed(with_files, *TRIPLED)
    build(new, ["one.csv"])
    said = refused(with_files, "promote", str(new.file))
    assert "1 files that the served version has read aren't in batch run 'b-2': /data/two.csv; " in said
    result = with_files.run("promote", str(new.file), "--accept-missing-files")
    assert result.exit_code == 0, result.output
    # the old version has more files than the new one: nothing is given up by going back
    assert with_files.run("roll-back", "orders", "1").exit_code == 0


def test_the_same_files_under_other_names_and_in_another_order(with_files: Any) -> None:
    new = changed(with_files, *TRIPLED)
    build(new, ["two.csv", "three.csv", "one.csv"])
    assert with_files.run("promote", str(new.file)).exit_code == 0
    assert "/data/three.csv" in refused(with_files, "roll-back", "orders", "1"), "files that only the new version has"


def diff(installation: Any, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = installation.run("diff", *arguments, "--json")
    return result.exit_code, json.loads(result.output)


def test_equal_answers_have_exit_code_0(served: Any) -> None:
    new = changed(served, *SHORTER)
    build(new)
    follow(new)
    code, found = diff(served, str(served.file), str(new.file))
    assert (code, found["equal"]) == (0, True)
    assert found["changes"] == [{"field": "lateness", "old": "1h", "new": "30m"}]
    assert found["tiles"] == {"equal": 3, "different": 0, "only_old": 0, "only_new": 0}
    assert found["keys"] == {"equal": 2, "different": 0, "only_old": 0, "only_new": 0}
    assert (found["upto"], found["left_out"], found["uncovered"]) == (3, [], [])
    assert diff(served, "orders") == (0, found), "by name: what is served, and what was built last"
    result = served.run("diff", "orders")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "equal")


def test_differences_are_counted_and_shown(served: Any) -> None:
    new = changed(served, *TRIPLED)
    order = new.Order
    build(new, orders=[order(8.1, 2.5), order(8.2, 4.0), order(7.3, 1.0, shop="elm")])
    follow(new)
    code, found = diff(served, str(served.file), str(new.file))
    assert (code, found["equal"]) == (1, False)
    assert found["tiles"] == {"equal": 0, "different": 2, "only_old": 1, "only_new": 1}
    assert found["keys"] == {"equal": 0, "different": 1, "only_old": 1, "only_new": 1}
    measures = {name: of["different"] for name, of in found["measures"].items() if of["different"]}
    assert measures == {"amount": 2}
    largest = found["measures"]["amount"]["largest"]
    assert [(each["start"], each["old"], each["new"], each["amount"], each["relative"]) for each in largest] == [
        ("2026-01-05T09:00:00Z", 16.0, 48.0, 32.0, 2.0),
        ("2026-01-05T08:00:00Z", 14.5, 43.5, 29.0, 2.0),
    ]
    lonely = [(s["key"], s["old"] is None, s["new"] is None) for s in found["samples"] if None in (s["old"], s["new"])]
    assert lonely == [
        ({"shop": "elm", "currency": "EUR"}, True, False),
        ({"shop": "oak", "currency": "EUR"}, False, True),
    ]
    text = served.run("diff", str(served.file), str(new.file)).output
    for part in ("measures.amount", "only in", '["elm","EUR"]', "2026-01-05T09:00:00Z", "32 (200.000%)", "different"):
        assert part in text, text


def test_only_what_both_hold_whole_is_compared(served: Any) -> None:
    new = changed(served, *SHORTER)
    build(new)
    follow(new, lost=1)
    code, found = diff(served, str(served.file), str(new.file))
    assert (code, found["upto"], found["left_out"]) == (0, 2, [3])
    assert found["tiles"]["equal"] == 2, "8:00 of both shops; 9:00 is of generation 3"


def test_generations_that_one_can_not_have_are_told(served: Any) -> None:
    new = changed(served, *SHORTER)
    store = served.store
    store.batch.start(new.version, "b-2", boundary=4)
    counts = tuple(GenerationCounts(g, n, n) for g, n in ((1, 3), (2, 1), (3, 1), (4, 7)))
    store.batch.finish("b-2", BatchManifest(counts, (SegmentFile("/data/x.csv", 5, "d", 0),)))
    code, found = diff(served, str(served.file), str(new.file))
    assert code == 1
    assert found["uncovered"] == [f"version {served.version} doesn't hold all 7 messages of generation 4"]


def test_files_that_one_lacks_are_told(with_files: Any) -> None:
    new = changed(with_files, *SHORTER)
    build(new, ["one.csv", "three.csv"])
    code, found = diff(with_files, str(with_files.file), str(new.file))
    assert (code, found["tiles"]["different"]) == (1, 0)
    assert found["uncovered"] == [
        f"version {new.version} hasn't read /data/two.csv",
        f"version {with_files.version} hasn't read /data/three.csv",
    ]


def test_measures_and_tiles_that_changed(served: Any) -> None:
    new = changed(
        served,
        ("tile: 1h", "tile: 2h"),
        ("  three_hours: {size: 3h, every: 1h}\n", ""),
        ("  mean: {mean: amount}\n", ""),
        ("orders: count", "visits: count"),
    )
    new.hour = served.hour
    build(new, orders=[new.Order(8.1, 2.5), new.Order(8.2, 4.0), new.Order(8.3, 1.0, shop="oak")])
    code, found = diff(served, str(served.file), str(new.file))
    assert (found["step"], found["only_in_old"], found["only_in_new"]) == (7200.0, ["orders", "mean"], ["visits"])
    assert (code, found["left_out"]) == (0, [2, 3])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(["diff", "{old}", "{old}"], "there is nothing to compare", id="one-version"),
        pytest.param(["diff", "{old}", "{other}"], "orders and other are two views", id="two-names"),
        pytest.param(["diff", "orders"], "no other version was built", id="nothing-else"),
        pytest.param(["diff", "nothing"], "no definition named 'nothing'", id="unknown-name"),
        pytest.param(["promote", "orders"], "no other version was built", id="promote-nothing"),
        pytest.param(["promote", "{new}", "--wait", "soon"], "--wait: ", id="no-duration"),
        pytest.param(["promote", "missing.yaml"], "missing.yaml: no such file", id="no-file"),
        pytest.param(["drop", "{old}"], "is served and can't be dropped", id="drop-served"),
    ],
)
def test_wrong_arguments(served: Any, tmp_path: Path, arguments: list[str], why: str) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(served.text.replace("name: orders", "name: other"), encoding="utf-8")
    new = changed(served, *SHORTER)
    names = {"old": served.file, "new": new.file, "other": other}
    assert why in refused(served, *(argument.format(**names) for argument in arguments))


SESSIONS = ("windows:", "windows:\n  visit: {session: 2h}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param((SESSIONS,), (SESSIONS, *SHORTER), id="both have sessions"),
        pytest.param((), (SESSIONS,), id="the new one has"),
        pytest.param((SESSIONS,), (), id="the old one has"),
    ],
)
def test_diff_of_definitions_with_sessions(empty: Any, old: Any, new: Any) -> None:
    before = changed(empty, *old, name="old.yaml") if old else empty
    after = changed(empty, *new) if new else empty
    build(before, run="b-2")
    build(after, run="b-3")
    shown = empty.run("diff", str(before.file), str(after.file), "--json")
    assert (shown.exit_code, shown.exception and str(shown.exception)) == (0, None), shown.output
    assert set(json.loads(shown.stdout)["measures"]) == set(empty.compiled.definition.measures)


def test_diff_compares_derived_results(empty: Any) -> None:
    rate = "derive_results: {rate: amount / orders}\n"
    before = changed(empty, ("windows:", f"{rate}windows:"), name="old.yaml")
    after = changed(empty, *TRIPLED, ("windows:", f"{rate}windows:"))
    build(before, run="b-2")
    build(after, run="b-3")
    data = json.loads(empty.run("diff", str(before.file), str(after.file), "--json").stdout)
    assert data["measures"]["rate"]["different"] == 2
    assert data["measures"]["rate"]["largest"][0]["amount"] == 6.5
