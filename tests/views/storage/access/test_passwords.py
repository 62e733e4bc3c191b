"""A store's password is read from where its address says, and is shown nowhere."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import google.auth
import pytest
from google.auth.transport.requests import AuthorizedSession

from tandem.schemas.errors import StoreAddressError
from tandem.views.storage.address import parse_address, shown_address

SECRET = "projects/demo/secrets/tandem"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Secret Manager is asked for; it knows versions of one secret, and is away once for `busy`."""
    urls = list[str]()

    def get(self: Any, url: str, **_: Any) -> Any:
        urls.append(url)
        name = url.removeprefix("https://secretmanager.googleapis.com/v1/")
        if name.startswith("projects/demo/secrets/busy") and len(urls) < 3:
            return SimpleNamespace(status_code=503)
        if name.startswith("projects/other"):
            return SimpleNamespace(status_code=403, reason="Forbidden")
        if "secrets/gone" in name:
            return SimpleNamespace(status_code=404, reason="Not Found")
        return SimpleNamespace(status_code=200, json=lambda: {"payload": {"data": base64.b64encode(b"hush+hush\n")}})

    monkeypatch.setattr(google.auth, "default", lambda scopes: (None, "demo"))
    monkeypatch.setattr(AuthorizedSession, "__init__", lambda self, credentials: None)
    monkeypatch.setattr(AuthorizedSession, "get", get)
    monkeypatch.setattr(AuthorizedSession, "__exit__", lambda self, *error: None)
    return urls


@pytest.mark.parametrize("content", ["hush+hush", "hush+hush\n", "hush+hush\r\n"])
def test_a_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "password").write_bytes(content.encode())
    address = parse_address(f"postgresql://t@db.example/tandem?sslmode=require&password_from=file:{tmp_path}/password")
    assert (address.password, dict(address.query)) == ("hush+hush", {"sslmode": "require"})
    assert "hush" not in shown_address(address)


@pytest.mark.parametrize(
    ("named", "version"),
    [
        pytest.param(SECRET, "latest", id="the newest version"),
        pytest.param(f"{SECRET}/versions/3", "3", id="a version"),
        pytest.param("projects/demo/secrets/busy/versions/1", "1", id="a secret that can't be had for a moment"),
    ],
)
def test_a_secret_of_secret_manager(asked: list[str], named: str, version: str) -> None:
    address = parse_address(f"postgresql://t@db.example/tandem?password_from=gcp:{named}")
    assert address.password == "hush+hush"
    assert asked[-1].endswith(f"/versions/{version}:access")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        pytest.param("password_from=file:/nowhere/at/all", "No such file", id="a file that isn't there"),
        pytest.param("password_from=file:", "it is file:/PATH", id="no file"),
        pytest.param("password_from=env:PASSWORD", "it is file:/PATH", id="another kind"),
        pytest.param("password_from=gcp:tandem", "it is file:/PATH", id="a secret's short name"),
        pytest.param("password_from=gcp:projects/other/secrets/x", "mustn't read it", id="a secret of others"),
        pytest.param("password_from=gcp:projects/demo/secrets/gone", "no such secret", id="no such secret"),
        pytest.param("password_from=file:/dev/null", "no password in it", id="an empty file"),
    ],
)
def test_what_cant_be_had(asked: list[str], query: str, said: str) -> None:
    with pytest.raises(StoreAddressError, match=said):
        parse_address(f"postgresql://t@db.example/tandem?{query}")


def test_one_password_only(tmp_path: Path) -> None:
    with pytest.raises(StoreAddressError, match="one password") as refused:
        parse_address(f"postgresql://t:hush-hush@db.example/tandem?password_from=file:{tmp_path}/password")
    assert "hush" not in str(refused.value)
