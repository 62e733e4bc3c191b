"""A server over a home with one definition, asked in this process as over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from samples import sales
from samples.orders_home import Installation, serve_orders
from samples.sales import Sale
from servers.web import Web


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Installation]:
    """Batch and live, published: see `serve_orders`."""
    made = Installation(tmp_path)
    serve_orders(made)
    yield made
    made.store.close()


@pytest.fixture
def web(orders: Installation) -> Iterator[Web]:
    """The server, without authentication."""
    with Web.over(orders.home) as made:
        yield made


@pytest.fixture
def guarded(orders: Installation) -> Iterator[Web]:
    """The server, for those with an API key."""
    with Web.over(orders.home, keys=True) as made:
        yield made


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, Installation]]:
    """A server, and the installation under it, for tests that change neither."""
    made = Installation(tmp_path_factory.mktemp("orders"))
    serve_orders(made)
    with Web.over(made.home) as web:
        yield web, made
    made.store.close()


@pytest.fixture
def asked(read_only: tuple[Web, Installation]) -> Web:
    """The server of `read_only`."""
    return read_only[0]


@pytest.fixture
def installation(tmp_path: Path) -> Callable[[list[Sale]], None]:
    """Takes more sales in, by a backfill."""
    from tandem.pipelines import backfill  # it loads Beam
    from tandem.runners.options.reading import read_arguments

    (tmp_path / "sales.yaml").write_text(sales.text())

    def take_in(items: list[Sale]) -> None:
        file = tmp_path / f"{items[0].id}.jsonl"
        file.write_bytes(b"\n".join(sale.payload() for sale in items) + b"\n")
        words = ["--definition", f"{tmp_path}/sales.yaml", "--files", str(file), "--home", f"{tmp_path}/home"]
        backfill.run(read_arguments("backfill", [*words, "--workers", "1"]))

    return take_in
