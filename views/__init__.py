"""The view store: batch states, live states, publications, and the answers merged from them.

`ViewStore` is a store in one SQL database, put together from parts; `open_store` and `close_store` keep one open per
process and URL. Queries are functions over a store, in `tandem.views.answers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tandem.views.storage.opening import close_store, open_store
    from tandem.views.store import ViewStore

__all__ = ["ViewStore", "close_store", "open_store"]


def __getattr__(name: str) -> Any:
    """Imports a name of `__all__` at its first use, so that the modules below stay cheap to import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tandem.views.storage import opening

    return getattr(opening, name)
