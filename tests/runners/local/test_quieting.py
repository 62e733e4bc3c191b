"""What of a runner's end is shown."""

import threading

import grpc
import pytest

from tandem.runners.local import quieting


class CutOff(grpc.RpcError):  # type: ignore[misc]
    """As a stream ends when its server is gone."""


@pytest.mark.parametrize(
    ("error", "shown"),
    [pytest.param(CutOff(), False, id="a stream cut off"), pytest.param(KeyError("a"), True, id="anything else")],
)
def test_ends_of_threads(
    error: Exception, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threading, "excepthook", quieting._unless_cut_off(threading.__excepthook__))

    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert ("Traceback" in capsys.readouterr().err) is shown
