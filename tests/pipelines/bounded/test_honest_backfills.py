"""What a backfill doesn't serve: windows that its files don't cover, and files in which much is bad."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from samples import sales
from samples.sales import START, TILE, Sale
from samples.sales_files import write_journal, write_jsonl

from tandem.journal.index import JournalIndex
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import segment_path
from tandem.pipelines import backfill
from tandem.runners.options.max_bad import max_bad
from tandem.runners.options.reading import read_arguments
from tandem.schemas.certificate import Certificate, Status
from tandem.schemas.definition.loading import load
from tandem.schemas.errors import JournalError, TooManyBadError, UnreadMessagesError, UserError
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.rows import DeadLetterStatus
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

COMPILED = sales.compiled()


class Bench:
    """A home, a definition and the command."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.home, self._capsys = folder, folder / "home", capsys
        self.yaml = folder / "sales.yaml"
        self.yaml.write_text(sales.text())

    def run(self, *arguments: str, files: str | None = None) -> str:
        """`tandem backfill`; returns what it said."""
        chosen = ["--files", str(self.folder / files)] if files is not None else []
        try:
            backfill.run(
                read_arguments(
                    "backfill", ["--definition", str(self.yaml), "--home", str(self.home), *chosen, *arguments]
                )
            )
        finally:
            self.said = self._capsys.readouterr().err
        return self.said

    def mixed(self, name: str, good: int, bad: int) -> list[Sale]:
        """A file of good and bad lines; the good sales."""
        found = [Sale(f"{name}{n}", START + n * 1_000_000) for n in range(good)]
        lines = [sale.payload() for sale in found] + [b'{"id": "x"}', b"{"] * (bad // 2) + [b"{"] * (bad % 2)
        (self.folder / name).write_bytes(b"\n".join(lines) + b"\n")
        return found

    @property
    def store(self) -> ViewStore:
        """The view store."""
        return open_store(f"sqlite:///{self.home}/views.db")

    @property
    def events(self) -> int:
        """In all that is served."""
        return sum(row.events for row in all_answers(self.store, COMPILED))

    def certificate(self, start: int, end: int) -> Certificate:
        """Of one shop's answer."""
        return answer(self.store, COMPILED, '["a"]', start, end).certificate


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, capsys)


def test_windows_after_the_newest_event_are_not_final(bench: Bench) -> None:
    """By the newest event, then by what the user says, first with new files, then without any."""
    newest = START // TILE * TILE + 3 * TILE + 1
    write_jsonl(bench.folder / "one.jsonl", [Sale("1", START), Sale("2", newest)])
    bench.run(files="one.jsonl")
    first, year = START // TILE * TILE, 365 * 86_400_000_000 // TILE * TILE
    assert bench.certificate(first, first + 3 * TILE).status is Status.FINAL
    for end in (first + 4 * TILE, first + 4 * year):
        found = bench.certificate(first, end)
        assert found.status is Status.PROVISIONAL
        assert found.complete_to == newest
        assert any("the files are complete until" in reason for reason in found.reasons), found.reasons
    served = bench.store.publishing.served("sales")
    assert "published" in bench.run("--complete-until", "2023-11-14T22:20:00Z", files="one.jsonl")
    assert bench.store.publishing.served("sales") != served
    assert bench.certificate(first, first + 4 * TILE).status is Status.FINAL
    assert bench.certificate(first, first + 4 * year).status is Status.PROVISIONAL
    assert "nothing new" in bench.run("--complete-until", "2023-11-14T22:20:00Z", files="one.jsonl")


def test_the_journal_tells_where_no_live_run_is_served(bench: Bench) -> None:
    """By the watermark that its lanes had stored when the boundary was sealed."""
    write_journal(bench.home / "journal", [[Sale("1", START).payload()]])
    bench.run()
    found = bench.certificate(START // TILE * TILE, START // TILE * TILE + TILE)
    assert found.status is Status.PROVISIONAL
    watermark = START - sales.definition().source.out_of_orderness
    assert found.complete_to == watermark
    (reason,) = found.reasons
    assert reason.startswith("no live run is served: journal generations after 1 are not in it; up to there the")
    lateness = sales.definition().lateness
    settled = bench.certificate((watermark - lateness) // TILE * TILE - TILE, (watermark - lateness) // TILE * TILE)
    assert settled.status is Status.FINAL


@pytest.mark.parametrize(
    ("text", "read", "most"),
    [("1%", 100, 1), ("1%", 99, 0), ("0.5%", 1000, 5), ("0", 10, 0), ("7", 10, 7), ("100%", 3, 3), ("29%", 100, 29)],
)
def test_how_much_may_be_bad(text: str, read: int, most: int) -> None:
    allowed = max_bad(text)
    assert allowed.allows(most, read)
    assert most == read or not allowed.allows(most + 1, read)


@pytest.mark.parametrize("text", ["much", "-1", "0.5", "101%", "1 %", "%", ""])
def test_wrong_shares_are_one_line(bench: Bench, text: str) -> None:
    with pytest.raises(UserError, match="neither a percentage, as 1%, nor a number of records, as 20"):
        bench.run("--max-bad", text, files="none.jsonl")


def test_much_that_is_bad_is_not_published(bench: Bench) -> None:
    """The files count as unread, no letter is open, and what is served stays."""
    good = bench.mixed("good.jsonl", 10, 0)
    bench.mixed("bad.jsonl", 2, 5)
    with pytest.raises(TooManyBadError, match=r"sales: 5 of 7 records are bad, more than --max-bad 1%: nothing is"):
        bench.run(files="bad.jsonl")
    assert "sales: 3 times: " in bench.said, bench.said
    assert "sales: 2 times: " in bench.said
    assert "bad.jsonl/0 row 3" in bench.said
    assert bench.store.publishing.served("sales") is None
    assert list(bench.store.dead_letters.states(COMPILED.version, DeadLetterStatus.OPEN)) == []
    bench.run(files="good.jsonl")
    with pytest.raises(TooManyBadError):
        bench.run(files="*.jsonl")
    assert bench.events == len(good)
    assert bench.certificate(START // TILE * TILE, START // TILE * TILE + TILE).dead_letters == 0
    said = bench.run("--max-bad", "5", files="*.jsonl")
    assert "took in 2 events of 1 files and 0 segments" in said
    assert bench.events == len(good) + 2
    assert bench.certificate(START // TILE * TILE, START // TILE * TILE + TILE).dead_letters == 5


def test_a_file_that_cannot_be_read_leaves_no_letters(bench: Bench) -> None:
    """One file has bad rows, the next one is refused as a whole."""
    bench.mixed("a.jsonl", 1, 1)
    (bench.folder / "b.avro").write_bytes(b"Obj\x01 and no more")
    with pytest.raises(Exception, match=r"b\.avro"):
        bench.run("--max-bad", "100%", files="*.*o*")
    assert bench.store.publishing.served("sales") is None
    assert list(bench.store.dead_letters.states(COMPILED.version)) == []


def test_a_version_that_reads_less_is_not_promoted(bench: Bench) -> None:
    """Although the dead letters are fewer than --max-bad: they are messages that are served."""
    good = bench.mixed("good.jsonl", 200, 0)
    bench.run(files="good.jsonl")
    stricter = sales.text().replace("{name: units, type", "{name: units2, type: int}\n      - {name: units, type")
    assert stricter != sales.text()
    bench.yaml.write_text(stricter)
    with pytest.raises(UnreadMessagesError, match=r"200 messages that are served can't be read by version \w+, first"):
        bench.run("--promote", "--max-bad", "100%", files="good.jsonl")
    assert bench.events == len(good)
    bench.run("--promote", "--max-bad", "100%", "--accept-dead-letters", files="good.jsonl")
    served = bench.store.publishing.served("sales")
    assert served is not None
    assert served.version == load(bench.yaml).version


def lanes(home: Path) -> Sequence[object]:
    index = JournalIndex(LocalBlobs(str(home / "journal")))
    index.refresh()
    return index.segments()


def test_a_missing_segment_is_named_and_what_comes_before_is_served(bench: Bench) -> None:
    """And what comes after it too, if the user says so: PARTIAL from then on."""
    write_journal(bench.home / "journal", [[Sale(f"s{n}", START + n).payload()] for n in range(4)])
    second = lanes(bench.home)[1]
    path = bench.home / "journal" / segment_path(second.run, second.lane, second.number)  # type: ignore[attr-defined]
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(JournalError, match=r"segment 4 is missing in lane 000001-\w+/0000, .*put it back from a copy"):
        bench.run()
    assert bench.events == 1
    with pytest.raises(JournalError, match=r"generation 3 isn't sealed: segment 4 is missing in lane"):
        bench.run("--upto", "3")
    path.write_bytes(kept)
    bench.run("--upto", "2")
    assert bench.events == 2
    path.unlink()
    third = lanes(bench.home)
    assert len(third) == 1, "nothing after the gap is seen"
    bench.run("--accept-missing-segments")
    assert bench.events == 4, "the segment that is missing was read before"
    assert bench.certificate(START // TILE * TILE, START // TILE * TILE + TILE).missing == ()


def test_what_is_known_to_be_missing_makes_answers_partial(bench: Bench) -> None:
    write_journal(bench.home / "journal", [[Sale(f"s{n}", START + n).payload()] for n in range(3)])
    second = lanes(bench.home)[1]
    (bench.home / "journal" / segment_path(second.run, second.lane, second.number)).unlink()  # type: ignore[attr-defined]
    bench.run("--accept-missing-segments")
    assert bench.events == 2
    found = bench.certificate(START // TILE * TILE, START // TILE * TILE + TILE)
    assert found.status is Status.PARTIAL
    assert len(found.missing) == 1
    assert found.reasons[0].startswith("missing in batch: segment 4 of lane 000001-")
