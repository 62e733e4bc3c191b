"""The real backfill, as the command runs it: files of every format, sealed generations, and what it refuses."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from oracles.served_sales import check_served
from samples import sales
from samples.sales import OVERFLOWS, START, TILE, Sale, items
from samples.sales_files import WRITERS, write_journal, write_jsonl

from tandem.pipelines import backfill
from tandem.pipelines.bounded import publishing as backfill_publish
from tandem.runners.options.reading import read_arguments
from tandem.schemas.certificate import Status
from tandem.schemas.errors import BatchOutdatedError, JournalError, SourceFileError, TandemError, UserError
from tandem.transforms.batch import spilled_tiles
from tandem.transforms.sinks import batch_states as sinks
from tandem.views.answers.point import answer
from tandem.views.batch.runs import BatchRuns
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

COMPILED = sales.compiled()
Run = Callable[..., str]


class Bench:
    """A home, a definition and the command."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.home, self._capsys = folder, folder / "home", capsys
        self.data = folder / "data"
        self.data.mkdir()
        self.yaml = folder / "sales.yaml"
        self.yaml.write_text(sales.text())

    def run(self, *arguments: str, files: str | None = "data/*") -> str:
        """`tandem backfill`; returns what it said."""
        chosen = ["--files", str(self.folder / files)] if files is not None else []
        backfill.run(
            read_arguments("backfill", ["--definition", str(self.yaml), "--home", str(self.home), *chosen, *arguments])
        )
        return self._capsys.readouterr().err

    @property
    def store(self) -> ViewStore:
        """The view store."""
        return open_store(f"sqlite:///{self.home}/views.db")

    def check(self, wanted: Sequence[Sale]) -> None:
        check_served(self.store, wanted)


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, capsys)


def test_files_of_all_formats_give_one_answer(bench: Bench) -> None:
    """Each format has events of its own, and copies of another's."""
    wanted = []
    for number, (ending, write) in enumerate(WRITERS.items()):
        mine = items(number * 8, 12)
        write(bench.data / f"part{number}.{ending}", mine)
        wanted += mine
    said = bench.run()
    assert "took in 48 events of 4 files and 0 segments" in said
    assert "published, boundary 0" in said
    bench.check(wanted)
    found = answer(bench.store, COMPILED, '["a"]', START, START + 2 * TILE)
    assert found.certificate.status is Status.FINAL, found.certificate.reasons
    (counts,) = bench.store.batch.manifest(str(found.certificate.batch_run)).counts
    assert (counts.received, counts.counted, counts.duplicates) == (48, 36, 12)


def test_running_again_finds_nothing_new_and_new_files_add(bench: Bench) -> None:
    write_jsonl(bench.data / "one.jsonl", items(0, 10))
    bench.run()
    first = bench.store.publishing.served("sales")
    assert "nothing new; boundary 0 stays" in bench.run()
    assert bench.store.publishing.served("sales") == first
    WRITERS["parquet"](bench.data / "two.parquet", items(5, 10))
    said = bench.run()
    assert "took in 10 events of 1 files" in said, "only the new file is read"
    bench.check(items(0, 15))
    served = bench.store.publishing.served("sales")
    assert served is not None
    assert first is not None
    assert bench.store.batch.get(str(served.batch_run)).parent == first.batch_run


def test_a_file_that_changed_is_refused_and_nothing_happens(bench: Bench) -> None:
    path = bench.data / "one.jsonl"
    write_jsonl(path, items(0, 4))
    bench.run()
    served = bench.store.publishing.served("sales")
    write_jsonl(path, items(0, 5))
    write_jsonl(bench.data / "new.jsonl", items(5, 2))
    with pytest.raises(
        SourceFileError, match=r"one\.jsonl: has changed since it was counted\W+digest \w+ then, \w+ now"
    ):
        bench.run()
    assert SourceFileError.exit_code == 2
    assert bench.store.publishing.served("sales") == served
    bench.check(items(0, 4))


def test_generations_of_the_journal_are_taken_in_step_by_step(bench: Bench) -> None:
    """With filtered, dead and repeated messages, and a copy over the border."""
    garbage, skipped = b"{", Sale("x", START, kind="skip")
    generations = [items(0, 6), items(4, 6), [], items(20, 3)]
    payloads = [[sale.payload() for sale in each] for each in generations]
    payloads[1] += [garbage, skipped.payload(), Sale("y", START, units=OVERFLOWS).payload()]
    write_journal(bench.home / "journal", payloads)
    assert "took in 6 events of 0 files and 1 segments" in bench.run("--upto", "1", files=None)
    bench.check(generations[0])
    said = bench.run("--upto", "2", "--max-bad", "2", files=None)
    assert "took in 7 events" in said
    assert "2 dead letters" in said
    bench.check(generations[0] + generations[1])
    served = bench.store.publishing.served("sales")
    assert served is not None
    (counts,) = bench.store.batch.manifest(str(served.batch_run)).counts
    assert (counts.generation, counts.received, counts.counted) == (2, 9, 4)
    assert (counts.filtered, counts.duplicates, counts.dead) == (1, 2, 2)
    assert "boundary 4" in bench.run(files=None)
    bench.check([sale for each in generations for sale in each])
    assert "nothing new; boundary 4 stays" in bench.run(files=None)
    found = answer(bench.store, COMPILED, '["a"]', START, START + TILE)
    assert found.certificate.status is Status.PARTIAL, "dead letters might belong in it"


def test_files_and_journal_count_copies_once(bench: Bench) -> None:
    write_jsonl(bench.data / "one.jsonl", items(0, 6))
    write_journal(bench.home / "journal", [[sale.payload() for sale in items(3, 6)]])
    said = bench.run()
    assert "took in 12 events of 1 files and 1 segments" in said
    bench.check(items(0, 9))
    WRITERS["avro"](bench.data / "later.avro", items(7, 5))
    bench.run()
    bench.check(items(0, 12))


def test_a_generation_that_is_not_sealed_is_refused(bench: Bench) -> None:
    payloads = [[sale.payload() for sale in items(n, 1)] for n in range(2)]
    write_journal(bench.home / "journal", payloads, sealed=False)
    with pytest.raises(JournalError, match=r"generation 2 isn't sealed: lane 000001-\w+/0000"):
        bench.run("--upto", "2", files=None)
    bench.run(files=None)
    bench.check(items(0, 1))


def test_another_version_is_served_only_when_told(bench: Bench) -> None:
    write_jsonl(bench.data / "one.jsonl", items(0, 4))
    bench.run()
    before = bench.store.publishing.served("sales")
    assert before is not None
    bench.yaml.write_text(sales.text().replace("lateness: 10s", "lateness: 20s"))
    with pytest.raises(UserError, match=rf"sales is served in version {before.version}, and .*--promote"):
        bench.run()
    assert "published" not in bench.run("--no-publish")
    assert bench.store.publishing.served("sales") == before
    assert "published" in bench.run("--promote")
    after = bench.store.publishing.served("sales")
    assert after is not None
    assert after.version != before.version


@pytest.mark.parametrize(
    ("outdated", "published"),
    [
        pytest.param(1, True, id="once"),
        pytest.param(3, True, id="three times"),
        pytest.param(4, False, id="again and again"),
    ],
)
def test_a_batch_run_that_live_outdated_is_built_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, outdated: int, published: bool
) -> None:
    """The store says so (tests/views/publishing) when live counted a copy after the batch run was built."""
    write_jsonl(bench.data / "one.jsonl", items(0, 4))
    intact, tried = backfill_publish._publish, list[str]()

    def publish(config: Any, store: ViewStore, work: Any, names: list[str]) -> Any:
        tried.append(work.batch_run)
        if len(tried) <= outdated:
            raise BatchOutdatedError("sales: build the batch run anew")
        return intact(config, store, work, names)

    monkeypatch.setattr(backfill_publish, "_publish", publish)
    if published:
        assert "sales: build the batch run anew: doing so\n" in bench.run()
        bench.check(items(0, 4))
    else:
        with pytest.raises(BatchOutdatedError, match="anew"):
            bench.run()
        assert bench.store.publishing.served("sales") is None
    assert len(set(tried)) == min(outdated, 3) + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--files", "nowhere/*.csv"], r"nowhere/\*\.csv: .*[Nn]o such file", id="no such files"),
        pytest.param([], r"nothing to read: there is no journal at .*home/journal, and no --files", id="no input"),
        pytest.param(["--upto", "3"], r"--upto 3: there is no journal at", id="no journal"),
        pytest.param(["--upto", "soon"], r"--upto: invalid int value: 'soon'", id="not a number"),
        pytest.param(["--pubish"], r"unknown flag '--pubish'", id="misspelt"),
        pytest.param(["--publish-wait", "5 parsecs"], r"--publish-wait.*'5 parsecs'", id="not a duration"),
        pytest.param(["--files"], r"--files: expected one argument", id="a flag without its value"),
        pytest.param(["--definition", "gone.yaml"], r"gone\.yaml: no such file", id="no such definition"),
    ],
)
def test_wrong_flags_are_one_line_each(bench: Bench, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        bench.run(*arguments, files=None)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_definition_must_be_named() -> None:
    with pytest.raises(TandemError, match="required: --definition"):
        backfill.parse(read_arguments("backfill", ["--files", "x.csv"]))


def test_underscores_in_flags_are_taken_too(bench: Bench) -> None:
    """As Beam writes its own."""
    (config,), _ = backfill.parse(
        read_arguments("backfill", ["--definition", str(bench.yaml), "--no_publish", "--publish_wait", "90s"])
    )
    assert (config.publish, config.publish_wait) == (False, 90_000_000)


def rows_of(home: Path) -> dict[str, list[Any]]:
    """All that is kept of what was counted."""
    tables = ("batch_states", "batch_ids", "batch_state_digests", "batch_id_digests", "batch_counts")
    with closing(sqlite3.connect(home / "views.db")) as connection:
        return {table: sorted(connection.execute(f"select * from {table}"), key=repr) for table in tables}


@pytest.mark.parametrize("deduplicate", [True, False])
def test_it_makes_no_difference_in_how_many_transactions_a_run_is_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, deduplicate: bool
) -> None:
    """Ids and states of a tile may be written apart."""
    bench.yaml.write_text(sales.text(deduplicate=deduplicate))
    written: dict[str, list[int]] = {}
    monkeypatch.setattr(spilled_tiles, "_GROUP_TILES", 1)
    write_batch = BatchRuns.write
    for name, least in (("whole", 1 << 30), ("parts", 5)):
        monkeypatch.setattr(sinks, "_BUFFER_IDS", least)
        monkeypatch.setattr(sinks, "_BUFFER_STATES", 40 * least)
        monkeypatch.setattr(BatchRuns, "write", lambda *of, name=name: (
            written.setdefault(name, []).append(len(of[-1])), write_batch(*of))[1])  # fmt: skip
        bench.home = bench.folder / name
        for part in range(2):  # the second run stands on the first
            write_jsonl(bench.data / f"{part}.jsonl", items(20 * part, 30))
            bench.run("--workers=1", "--layer-threshold=never", files=f"data/{part}.jsonl")
    assert len(written["whole"]) < len(written["parts"])
    assert rows_of(bench.folder / "whole") == rows_of(bench.folder / "parts")


def test_one_file_counts_once_however_it_is_spelt_or_copied(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `deduplicate: false`: only what is known of files keeps their events from counting twice."""
    bench.yaml.write_text(sales.text(deduplicate=False))
    path = bench.data / "one.jsonl"
    write_jsonl(path, items(0, 4))
    (bench.folder / "link.jsonl").symlink_to(path)
    monkeypatch.chdir(bench.folder)
    spelt = ["data/one.jsonl", "./data/one.jsonl", path.as_uri(), "link.jsonl", "data/*", "data/../data/o*"]
    said = bench.run(*(part for name in spelt for part in ("--files", name)), files=None)
    assert "took in 4 events of 1 files" in said
    for name in spelt:
        assert "nothing new" in bench.run("--files", name, files=None)
    os.link(path, bench.data / "hard.jsonl")
    shutil.copy(path, bench.data / "copy.jsonl")
    said = bench.run()
    for name in ("copy", "hard"):
        assert f"{bench.data}/{name}.jsonl: passed by: its content is that of {path}; --copies reads it too" in said
    assert "nothing new" in said
    served = bench.store.publishing.served("sales")
    assert served is not None
    assert bench.store.batch.manifest(str(served.batch_run)).counts[0].received == 4
    assert "took in 8 events of 2 files" in bench.run("--copies")
    assert "nothing new" in bench.run("--copies")


def test_files_that_were_recorded_as_they_were_spelt_are_known_still(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores of versions before 2026-11-29 have the path as it was given."""
    monkeypatch.chdir(bench.folder)
    write_jsonl(bench.data / "one.jsonl", items(0, 4))
    with monkeypatch.context() as before:
        before.setattr("tandem.formats.files.listing.real_path", os.path.relpath)
        bench.run()
    served = bench.store.publishing.served("sales")
    assert served is not None
    assert [file.path for file in bench.store.batch.manifest(str(served.batch_run)).segments] == ["data/one.jsonl"]
    assert "nothing new" in bench.run()
    write_jsonl(bench.data / "one.jsonl", items(0, 5))
    with pytest.raises(SourceFileError, match=r"one\.jsonl: has changed since it was counted"):
        bench.run()
