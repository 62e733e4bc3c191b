"""A layer read by DuckDB, Polars and pandas, with the lines that the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tandem.views.layers.cutting import Part

PAGE = Path(__file__).parents[3] / "docs/explanation/layers.md"
T = 60_000_000


def test_the_lines_of_the_page(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    layers = Path(bench.store.database.url.database).parent / "layers"
    bench.store.batch.start("v1", "B1", boundary=1)
    block = bench.block((0, '["a"]', 2, 20), (0, '["b"]', 3, 30), (T, '["a"]', 7, 70))
    bench.store.batch.write_part(bench.compiled, "B1", str(layers), Part(0, 0, 0, 255), block)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    exec(code.replace("tandem-data/layers", str(layers)), {})
    said = capsys.readouterr().out
    by_duckdb, by_polars, by_pandas = said.partition("shape:")[0], said.partition("shape:")[2], said.rpartition("└")[2]
    for told in (by_duckdb, by_polars, by_pandas):
        assert re.search(r"00:00:00\D.*\b5\b", told), told
        assert re.search(r"00:01:00\D.*\b7\b", told), told
