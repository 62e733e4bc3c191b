"""A job server that goes away while a job is handed over is one line, not a traceback."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import grpc
import pytest

from tandem.pipelines.launchables import LAUNCHABLES
from tandem.pipelines.planning import launch
from tandem.schemas.errors import TandemError


class GoneError(grpc.RpcError):  # type: ignore[misc]
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "why"),
    [pytest.param(GoneError(), "UNAVAILABLE", id="with-a-code"), pytest.param(grpc.RpcError(), "RpcError", id="plain")],
)
@pytest.mark.parametrize("name", ["live", "backfill", "publish"])
def test_one_line(name: str, error: Exception, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(arguments: object) -> None:
        raise error

    monkeypatch.setattr(launch, "gate", lambda pipeline, rest: SimpleNamespace(arguments=rest, warnings=()))
    with pytest.raises(TandemError, match=rf"^the job server is gone \({why}\); .*see on the runner") as told:
        launch.launch(replace(LAUNCHABLES[name], run=run), [])
    assert "\n" not in str(told.value)
