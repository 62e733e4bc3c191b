"""A field more in the schema of Avro messages that name no revision: they are read on, or the version is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import fastavro
import pytest
from samples import sales
from samples.sales import START, Sale
from samples.sales_files import write_journal

from tandem.pipelines import backfill
from tandem.runners.options.reading import read_arguments
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.schemas.errors import TooManyBadError, UnreadMessagesError
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.opening import open_store


def test_old_messages_are_read_with_a_field_more(tmp_path: Path) -> None:
    """Three ways to serve the new version: too much is bad, it reads less, and with the revision that they have."""
    text, home = sales.text().replace("format: json", "format: avro"), tmp_path / "home"
    (tmp_path / "sales.yaml").write_text(text)
    old = load(tmp_path / "sales.yaml")
    written, wanted = [], [Sale(f"s{n}", START + n * 1_000_000) for n in range(20)]
    for sale in wanted:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(old.source.avro_schema), sale.record())
        written.append(out.getvalue())
    write_journal(home / "journal", [written])

    def run(*arguments: str) -> None:
        backfill.run(
            read_arguments("backfill", ["--definition", str(tmp_path / "sales.yaml"), "--home", str(home), *arguments])
        )

    def served() -> int:
        definition = compile_definition(load(tmp_path / "sales.yaml"))
        return sum(row.events for row in all_answers(open_store(f"sqlite:///{home}/views.db"), definition))

    run()
    assert served() == len(wanted)
    fields = old.source.avro_schema["fields"]
    schema = {**old.source.avro_schema, "fields": [{"name": "region", "type": "string", "default": "?"}, *fields]}
    (tmp_path / "new.avsc").write_text(json.dumps(schema))
    (tmp_path / "old.avsc").write_text(json.dumps(old.source.avro_schema))
    head, _, tail = text.partition("  schema:")
    rest = tail[tail.index("  format:") :]
    (tmp_path / "sales.yaml").write_text(f"{head}  schema: new.avsc\n{rest}")
    with pytest.raises(TooManyBadError, match="more than --max-bad 1%"):
        run("--promote")
    with pytest.raises(UnreadMessagesError, match="messages that are served can't be read by version"):
        run("--promote", "--max-bad", "100%")
    revision = "  revisions: {before: old.avsc}\n  default_revision: before\n"
    (tmp_path / "sales.yaml").write_text(f"{head}  schema: new.avsc\n{revision}{rest}")
    run("--promote")
    assert served() == len(wanted)
