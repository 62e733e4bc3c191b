"""The API held against its own OpenAPI document by schemathesis: `make fuzz-api`, which makes an environment for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from samples.orders_home import Installation, serve_orders

HERE = Path(__file__).parent
ST = HERE.parents[1] / ".venv-schemathesis/bin/st"

pytestmark = pytest.mark.slow


def test_the_api_is_as_its_document_says(tmp_path: Path) -> None:
    if not ST.exists():
        pytest.skip("no schemathesis; `make fuzz-api` installs it")
    made = Installation(tmp_path)
    serve_orders(made)
    made.store.close()
    command = [sys.executable, "-m", "tandem", "serve", "--port", "0", "--home", str(made.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("serving at ").strip()
        asked = [
            str(ST), "--config-file", str(HERE / "schemathesis.toml"), "run", f"{address}/openapi.json",
            "--url", address, "--exclude-path-regex", "events$", "--workers", "1", "--request-timeout", "60",
            "--max-examples", os.environ.get("TANDEM_FUZZ_EXAMPLES", "30"),
            "--seed", os.environ.get("TANDEM_FUZZ_SEED", "1"),
        ]  # fmt: skip
        try:
            ran = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=280)
        finally:
            server.terminate()
            assert server.wait(60) == 0
    assert ran.returncode == 0, ran.stdout[-6000:]
