"""A quick start for commands that only ask: what they hardly ever use of other packages is loaded at its first use.

Most of a question's time goes into imports. Python's own `LazyLoader` loads a module as soon as any attribute of it is
asked for, also one that a package names while it is being loaded; here those have stand-ins.
"""

from __future__ import annotations

import gc
import inspect
import sys
import threading
from collections.abc import Iterable, Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

__all__ = ["start_quickly"]

_LATER: Final[Mapping[str, Mapping[str, Any]]] = {
    "asyncio": {"iscoroutine": inspect.iscoroutine},  # SQLAlchemy takes it for its asynchronous half
    "numpy._core._add_newdocs": {},  # texts of `help(numpy)`
    "numpy._core._add_newdocs_scalars": {},
    "pyarrow.compute": {},  # wraps Arrow's functions one by one; few questions use any
    "pydantic.plugin._loader": {"get_plugins": tuple},  # looks through all installed packages for its plugins
    "sqlalchemy.dialects.sqlite.aiosqlite": {},
}
"""Modules whose code runs at their first use, and those of their attributes that are there before."""

_ABSENT: Final = "pandas"
"""Arrow imports it to recognize its types: half a second for a single question."""

_COLLECTED: Final = 300_000
"""New objects from which on garbage is collected: imports make two hundred thousand that stay, and Python would go
through them again and again."""

_LOCK: Final = threading.RLock()
_CODE: Final = "__tandem_later__"


def start_quickly() -> None:
    """Load seldom used modules later, from now on in this process, and collect garbage seldom."""
    sys.meta_path.insert(0, _Finder())
    gc.set_threshold(_COLLECTED, 20, 100)


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """A spec of a module that is loaded later; None for others. Raises ModuleNotFoundError for pandas."""
        if fullname == _ABSENT:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        if fullname not in _LATER:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module, without its code."""
        return _Later(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Put the stand-ins into it."""
        module.__dict__.update(_LATER[module.__name__])
        module.__dict__[_CODE] = self._loader


class _Later(ModuleType):
    """A module whose code runs when an attribute is wanted that it doesn't have yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # the import system's questions
            raise AttributeError(name)
        with _LOCK:  # another thread waits until the code has run
            loader: Loader | None = self.__dict__.pop(_CODE, None)
            if loader is not None:
                loader.exec_module(self)
        return ModuleType.__getattribute__(self, name)

    def __dir__(self) -> Iterable[str]:
        self.__getattr__("__all__")
        return sorted(self.__dict__)
