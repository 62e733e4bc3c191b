"""The benchmark of a store on PostgreSQL: each kind of question is asked, by one reader and by several."""

from __future__ import annotations

import pytest
from servers.postgres_server import postgres_server

from benchmarks.parts import postgres

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.slow]


def test_every_kind_of_question_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("TANDEM_BENCH_DATA", str(tmp_path_factory.getbasetemp() / "clicks"))
    shown: list[str] = []
    try:
        with postgres_server() as server:
            flags = ["--store", server.url, "--events", "2000", "--readers", "3", "--seconds", "1"]
            postgres.main(flags, shown.append)
    except LookupError as why:
        pytest.skip(str(why))
    rows = [line.split() for text in shown for line in text.splitlines() if line.split()[0] in {"1", "3"}]
    assert [(row[0], row[1]) for row in rows] == [(n, kind) for n in ("1", "3") for kind in ("minute", "hour", "day")]
    assert all(int(row[2].replace(",", "")) > 0 for row in rows)
