"""Backfills of other revisions of a schema, and of other versions of a definition."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from samples import sales
from samples.sales import START, TILE, Sale, differences, expected

from tandem.journal.broker.memory import Message, messages_of
from tandem.journal.clocks import SystemClock
from tandem.journal.lanes.writer import LaneWriter
from tandem.journal.runs.generations import next_generation
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.pipelines import backfill, live
from tandem.runners.options.reading import read_arguments
from tandem.schemas.definition.loading import load
from tandem.schemas.errors import MissingFilesError, UserError
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

OLDER: dict[str, Any] = {
    "type": "record",
    "name": "Sale",
    "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "shop", "type": "string"},
        {"name": "amount", "type": "float"},
        {"name": "kind", "type": "string"},
        {"name": "id", "type": "string"},
    ],
}


def run(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    backfill.run(
        read_arguments(
            "backfill", ["--definition", str(folder / "sales.yaml"), "--home", str(folder / "home"), *arguments]
        )
    )
    return capsys.readouterr().err


def store(folder: Path) -> ViewStore:
    return open_store(f"sqlite:///{folder}/home/views.db")


def older(number: int) -> tuple[Sale, Message]:
    """A sale written with the older revision."""
    sale = Sale(f"s{number}", START + number * TILE // 3, "a", number + 0.5, None)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(OLDER), sale.record())
    attributes = {"googclient_schemarevisionid": "r1", "googclient_schemaencoding": "BINARY"}
    return sale, Message(f"m{number}", out.getvalue(), START, attributes)


def test_a_revision_that_is_added_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sales.yaml").write_text(sales.text())
    first = load(tmp_path / "sales.yaml")
    blobs, clock = LocalBlobs(str(tmp_path / "home/journal")), SystemClock()
    manifest = start_run(blobs, clock, lanes=1, subscription="s", sources=[first.source.version])
    writer = LaneWriter(blobs, manifest, 0, "w", SystemClock(), number=0, generation=1)
    assert writer.open({})
    written = [older(number) for number in range(6)]
    for part in (written[:3], written[3:]):
        writer.append(messages_of([message for _, message in part]), {})
        next_generation(blobs, clock, writer.generation, "w")
        writer.seal(writer.generation, {})
        said = run(capsys, tmp_path, "--max-bad", "100%")
        if part[0] is written[0]:
            assert "took in 0 events of 0 files and 1 segments" in said
            assert "3 dead letters" in said
            with_it = sales.text().replace(
                "  format: json\n", f"  format: json\n  revisions: {{r1: {json.dumps(OLDER)}}}\n"
            )
            (tmp_path / "sales.yaml").write_text(with_it)
    second = load(tmp_path / "sales.yaml")
    assert second.version == first.version
    from tandem.schemas.definition.compiled import compile_definition

    found = {(row.key, row.start): row.results for row in all_answers(store(tmp_path), compile_definition(second))}
    assert differences(found, expected([sale for sale, _ in written[3:]])) == []
    served = store(tmp_path).publishing.served("sales")
    assert served is not None
    assert served.boundary == 2


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        pytest.param([], "--subscription is missing", id="neither"),
        pytest.param(
            ["--follow", "--subscription", "projects/p/subscriptions/s"],
            "--follow and --subscription exclude each other",
            id="both",
        ),
        pytest.param(["--follow", "--take-over"], "--follow and --take-over exclude each other", id="take-over"),
        pytest.param(["--follow", "--lanes", "2"], "--follow and --lanes exclude each other", id="lanes"),
        pytest.param(["--follow"], "there is no journal at", id="no-journal"),
    ],
)
def test_wrong_flags_of_live(tmp_path: Path, flags: list[str], why: str) -> None:
    (tmp_path / "sales.yaml").write_text(sales.text())
    with pytest.raises(UserError, match=why):
        live.run(
            read_arguments("live", ["--definition", f"{tmp_path}/sales.yaml", "--home", f"{tmp_path}/home", *flags])
        )


def test_a_new_version_must_read_all_files_that_are_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sales.yaml").write_text(sales.text())
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").write_bytes(Sale(name, START).payload() + b"\n")
    run(capsys, tmp_path, "--files", f"{tmp_path}/*.jsonl")
    before = store(tmp_path).publishing.served("sales")
    (tmp_path / "sales.yaml").write_text(sales.text().replace("lateness: 10s", "lateness: 20s"))
    with pytest.raises(MissingFilesError, match=r"1 files that the served version has read aren't in .*two\.jsonl;"):
        run(capsys, tmp_path, "--files", f"{tmp_path}/one.jsonl", "--promote")
    assert store(tmp_path).publishing.served("sales") == before
    assert "published" in run(
        capsys, tmp_path, "--files", f"{tmp_path}/one.jsonl", "--promote", "--accept-missing-files"
    )
