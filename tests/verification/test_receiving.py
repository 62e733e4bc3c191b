"""What a receiver holds alerts to: they never fall back."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass

import pytest

from tandem.verification.mismatch import Mismatch
from tandem.verification.receiving import Receiver


@dataclass(frozen=True)
class Sent:
    payload: str


def alert(revision: int, state: str = "TENTATIVE") -> dict[str, object]:
    id = f"{revision} {state}"
    return {"id": id, "kind": "alert", "episode": "e", "revision": revision, "state": state}


ONE, TWO, THREE = alert(1), alert(2), alert(3)


@pytest.mark.parametrize(
    ("alerts", "otherwise"),
    [
        pytest.param((ONE, TWO), "", id="one after the other"),
        pytest.param((ONE, THREE), "", id="one kept back"),
        pytest.param((ONE, ONE), "", id="twice the same"),
        pytest.param((TWO, ONE), "fell back", id="fallen back"),
        pytest.param((ONE, alert(1, "CONFIRMED")), "fell back", id="another state of one revision"),
        pytest.param((ONE, alert(2, "CONFIRMED")), "", id="confirmed"),
        pytest.param((alert(1, "RAISED_LATE"), alert(2, "WITHDRAWN")), "", id="withdrawn after all"),
        pytest.param((alert(1, "CONFIRMED"), TWO), "is tentative", id="undecided again"),
        pytest.param((alert(1, "WITHDRAWN"), alert(2, "CONFIRMED")), "had ended", id="confirmed after all"),
    ],
)
@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in groups"])
def test_an_episode_never_falls_back(alerts: list[dict[str, object]], otherwise: str, grouped: bool) -> None:
    if grouped:
        alerts = [{"id": str(n), "kind": "alert_group", "alerts": [each]} for n, each in enumerate(alerts)]
    with pytest.raises(Mismatch, match=otherwise) if otherwise else nullcontext():
        Receiver().send([Sent(json.dumps(message)) for message in alerts])
