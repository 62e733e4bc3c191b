"""Of a password nothing is shown, not four signs in a row, whatever it holds and wherever in an address it stands."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tandem.app import app
from tandem.schemas.errors import StoreError
from tandem.schemas.privacy import secrets
from tandem.schemas.privacy.secrets import keep_address, redacted
from tandem.views.storage.address import shown_address
from tandem.views.store import ViewStore

LETTERS = "QXZJ\u00d8"
"""None of these stands in what is printed otherwise."""
SIGNS = "&@/#%;=?:+ '\"\\[]{}|<>,.!$~^*()`-_\t"
PASSWORDS = st.lists(
    st.one_of(st.text(LETTERS, min_size=4, max_size=6), st.text(SIGNS, min_size=1, max_size=2)), min_size=1, max_size=6
).map("".join)
SHAPES = {
    "of a user": "postgresql://u:{}@127.0.0.1:1/db",
    "of a user of an address with parameters": "postgresql://u:{}@127.0.0.1:1/db?sslmode=disable&connect_timeout=1",
    "without a user": "postgres://:{}@127.0.0.1:1/db",
    "beside a wrong port": "postgresql://u:{}@127.0.0.1:port/db",
    "beside a wrong driver": "postgresql+pg8000://u:{}@127.0.0.1:1/db",
    "of another database": "mysql://u:{}@127.0.0.1:1/db",
    "password": "postgresql://127.0.0.1:1/db?user=u&password={}",
    "password before another": "postgresql://127.0.0.1:1/db?password={}&sslmode=disable",
    "password between others": "postgresql://127.0.0.1:1/db?connect_timeout=1&password={}&application_name=x",
    "sslpassword": "postgresql://127.0.0.1:1/db?sslpassword={}&sslmode=disable",
    "oauth": "postgresql://127.0.0.1:1/db?oauth_client_secret={}",
    "in options": "postgresql://127.0.0.1:1/db?options=-cmy.password%3D{}",
    "in options as they are": "postgresql://127.0.0.1:1/db?options=-c my.password={}",
    "libpq": "host=127.0.0.1 port=1 user=u password={} dbname=db",
    "libpq in quotes": "host=127.0.0.1 port=1 password='{}' dbname=db",
    "libpq with spaces": "dbname = db password = {}",
}
QUOTED: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent-encoded": lambda text: quote(text, safe=""),
    "with plus": quote_plus,
}


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is known as a secret doesn't outlive a test."""
    known = set(secrets._KNOWN)
    yield
    secrets._KNOWN.clear()
    secrets._KNOWN.update(known)


def grams(password: str) -> set[str]:
    """Four signs in a row, of which a letter is one, in every form."""
    forms = {form(password) for form in QUOTED.values()} | {repr(password)[1:-1]}
    found = {form[at : at + 4] for form in forms for at in range(len(form) - 3)}
    return {gram for gram in found if sum(letter in LETTERS for letter in gram) >= 2}


def said_by_the_store(address: str) -> str:
    try:
        ViewStore(address, create=False)
    except StoreError as error:
        return f"{redacted(str(error))} {shown_address(address)}"
    raise AssertionError("there is no such store")


def said_by_the_command(address: str) -> str:
    result = CliRunner().invoke(app, ["--traceback", "status", "clicks", "--store", address])
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    return result.output


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(password="QXZJ&XZQQ", form="as it is")
@example(password="QXZJ&XZQQ=ZZXX", form="as it is")
@example(password="QXZJ@XZQQ/ZZXX#JJQQ?XXQQ", form="as it is")
@example(password="QX ZJ;QQXX%41QQJJ", form="as it is")
@given(password=PASSWORDS, form=st.sampled_from(sorted(QUOTED)))
def test_nothing_of_a_password_is_shown(shape: str, password: str, form: str, caplog: pytest.LogCaptureFixture) -> None:
    secrets._KNOWN.clear()
    caplog.clear()
    address = shape.format(QUOTED[form](password))
    with caplog.at_level(logging.DEBUG):
        said = said_by_the_store(address) + said_by_the_command(address) + caplog.text
    assert [gram for gram in grams(password) if gram in said] == [], said


@pytest.mark.parametrize("words", [["status", "clicks", "--stroe"], ["live", "--stroe"], ["backfill", "--stroe"]])
def test_arguments_that_nobody_takes_show_none(words: list[str]) -> None:
    address = "postgresql://u:QXZJ&XZQQ@h/db?password=ZZXX JJQQ&XXZZ"
    command = [sys.executable, "-m", "tandem", *words, address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert not any(letter in said for letter in "QXZJ"), said


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        pytest.param("postgresql://u:hush@h/db?sslmode=require", "sslmode=require", id="of a user"),
        pytest.param("postgresql://h/db?password=hush&sslmode=require", "sslmode=require", id="as a parameter"),
        pytest.param("http://127.0.0.1:8080/@me", "port 8080", id="a port is none"),
        pytest.param("gs://bucket/a=b", "gs://bucket/a=b", id="a place is none"),
    ],
)
def test_what_is_no_secret_stays(address: str, shown: str) -> None:
    secrets._KNOWN.clear()
    keep_address(address)
    assert redacted(shown) == shown
    assert ("hush" in address) is ("hush" not in redacted("it said hush"))


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("u:QXZJ7QXZJ@h/db", id="no scheme"),
        pytest.param("//u:QXZJ7QXZJ@h/db", id="slashes alone"),
        pytest.param("postgresql:/u:QXZJ7QXZJ@h/db", id="one slash"),
        pytest.param("postgresql:u:QXZJ7QXZJ@h/db", id="no slash"),
        pytest.param("postgresql://u@h/db?pass=QXZJ7QXZJ", id="another parameter"),
    ],
)
def test_a_password_in_an_address_that_is_misspelt(address: str) -> None:
    assert "QXZJ" not in said_by_the_store(address)
    assert "QXZJ" not in said_by_the_command(address)
