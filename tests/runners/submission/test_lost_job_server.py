"""A job server that goes away while a job is handed over is one line, not a traceback."""

from __future__ import annotations

from types import SimpleNamespace

import grpc
import pytest

from tandem.commands.pipelines import _launch
from tandem.pipelines.planning import gate as plan_gate
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

    monkeypatch.setattr(plan_gate, "gate", lambda name, rest: SimpleNamespace(arguments=list(rest), warnings=()))
    with pytest.raises(TandemError, match=rf"^the job server is gone \({why}\); .*see on the runner") as told:
        _launch(name, [], run)
    assert "\n" not in str(told.value)
