"""A process that opens a store knows all its tables, whichever parts it uses: else a change wouldn't be sealed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tandem import views

_TABLE = re.compile(r'sa\.Table\(\s*"(\w+)"')
_LISTED = "import tandem.views.store as s; from tandem.views.storage.columns import METADATA; print(*METADATA.tables)"


def test_a_store_knows_all_tables() -> None:
    declared = {name for path in Path(views.__path__[0]).rglob("*.py") for name in _TABLE.findall(path.read_text())}
    listed = subprocess.run([sys.executable, "-c", _LISTED], capture_output=True, text=True, check=True).stdout
    assert len(declared) > 20
    assert set(listed.split()) == declared
