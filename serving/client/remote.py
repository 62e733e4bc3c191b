"""A client of a `tandem serve`, over HTTP."""

from __future__ import annotations

import io
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import requests

from tandem.schemas.errors import LaunchError, UserError
from tandem.schemas.privacy.secrets import redacted
from tandem.serving.client.local import asked_text
from tandem.serving.client.values import (
    Client,
    ClientAnswer,
    ClientSeries,
    ClientTable,
    Key,
    answer_of,
    key_parameter,
    series_of,
)

__all__ = ["RemoteClient"]

_TIMEOUT: Final = (5, 120)
"""Seconds until a connection is made, and until an answer comes."""
_NAMES: Final = {"start": "from", "end": "to"}


class RemoteClient(Client):
    """See `tandem.serving.client.values.Client`. Connections are kept; one client is for one thread at a time."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        """`api_key`: see `tandem keys`; it is sent to that server alone, not to targets of redirects."""
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # no password of a .netrc in place of the key
        if api_key is not None:
            self._session.headers["authorization"] = f"Bearer {api_key}"

    def definitions(self) -> list[str]:
        """The names of all definitions, sorted."""
        return [each["name"] for each in self._get("/definitions").json()["definitions"]]

    def answer(self, name: str, key: Key = None, **asked: Any) -> ClientAnswer:
        """The answer of one key over a window or span."""
        return answer_of(self._asked(name, "answer", key, asked).json())

    def series(self, name: str, key: Key = None, **asked: Any) -> ClientSeries:
        """The answers of one key, step by step."""
        return series_of(self._asked(name, "series", key, asked).json())

    def answers(self, name: str, **asked: Any) -> ClientTable:
        """The answers of every key and step that has events, page by page: each page is of one instant."""
        key = asked.pop("key", None)
        reply = self._asked(name, "export", key, {**asked, "format": "arrow"})
        tables = [_table(reply)]
        while "next" in reply.links:
            reply = self._sent("GET", self._url + reply.links["next"]["url"])
            tables.append(_table(reply))
        return ClientTable(pa.concat_tables(tables))

    def sql(self, statement: str) -> ClientTable:
        """The rows of one SELECT, over tables of one instant."""
        reply = self._sent("POST", f"{self._url}/api/v1/sql", json={"sql": statement, "format": "arrow"})
        return ClientTable(_table(reply), reply.headers.get("tandem-whole") == "true")

    def alerts(self, name: str, key: Key = None, **asked: Any) -> list[dict[str, Any]]:
        """Alerts, the newest first."""
        states = asked.pop("state", None)
        more = {"state": [states] if isinstance(states, str) else list(states)} if states else {}
        firing = {"firing": "true"} if asked.pop("firing", False) else {}
        found: list[dict[str, Any]] = self._asked(name, "alerts", key, {**asked, **firing}, more).json()["alerts"]
        return found

    def alert(self, name: str, alert: str) -> dict[str, Any]:
        """One alert, with the verdicts behind it."""
        found: dict[str, Any] = self._get(f"{_path(name)}/alerts/{quote(alert, safe='')}").json()
        return found

    def results(self, name: str, key: Key = None, **asked: Any) -> list[dict[str, Any]]:
        """Last revisions of results, the newest windows first."""
        found: list[dict[str, Any]] = self._asked(name, "results", key, asked).json()["results"]
        return found

    def acknowledge(self, name: str, alert: str, note: str = "") -> None:
        """Acknowledge an alert; the server allows it to operators."""
        self._post(f"{_path(name)}/alerts/{quote(alert, safe='')}/acknowledge", {"note": note})

    def silence(self, name: str, last: str, note: str, *, rule: str | None = None, key: Key = None) -> int:
        """Suppress messages of a rule or key for a time; the server allows it to operators. Returns the silence's
        number.
        """
        body = {"for": last, "note": note, "rule": rule, "key": self._key(name, key)}
        return int(self._post(f"{_path(name)}/silences", body)["silence"])

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _asked(
        self, name: str, what: str, key: Key, asked: dict[str, Any], more: dict[str, Any] | None = None
    ) -> requests.Response:
        parameters = {_NAMES.get(each, each): asked_text(value) for each, value in asked.items()}
        return self._get(f"{_path(name)}/{what}", {**parameters, **(more or {}), "key": self._key(name, key)})

    def _key(self, name: str, key: Key) -> str | None:
        return key_parameter(key, [] if key is None or isinstance(key, str) else self._key_columns(name))

    def _key_columns(self, name: str) -> list[str]:
        found = self._get(_path(name)).json()
        return [each["name"] for each in found["key"]]

    def _get(self, path: str, parameters: dict[str, Any] | None = None) -> requests.Response:
        return self._sent("GET", f"{self._url}/api/v1{path}", params=parameters)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._sent("POST", f"{self._url}/api/v1{path}", json=body).json()
        return found

    def _sent(self, method: str, url: str, **more: Any) -> requests.Response:
        """Raises UserError for a refused request, with the server's remedy, LaunchError without a server."""
        try:
            reply = self._session.request(method, url, timeout=_TIMEOUT, allow_redirects=False, **more)
        except requests.RequestException as error:
            raise LaunchError(
                f"no answer from {redacted(self._url)}: {type(error).__name__}", "is `tandem serve` running there?"
            ) from None
        if reply.status_code == 200:
            return reply
        raise UserError(_problem(reply))


def _path(name: str) -> str:
    return f"/definitions/{quote(name, safe='')}"


def _problem(reply: requests.Response) -> str:
    try:
        problem = reply.json()
        return f"{problem['detail']}: {problem['remedy']}"
    except (ValueError, KeyError, TypeError):
        return f"{reply.status_code} {reply.reason}: not an answer of a `tandem serve`"


def _table(reply: requests.Response) -> pa.Table:
    return pa.ipc.open_stream(io.BytesIO(reply.content)).read_all()
