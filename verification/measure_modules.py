"""Measures of the user's own, in a module that registers them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from tandem.schemas.errors import UserError

__all__ = ["import_measures"]


def import_measures(module: str) -> None:
    """Import a module, by its dotted name or as the path of a .py file; it calls `schemas.measures.registry.register`.

    A module that was imported before isn't imported again. Raises UserError for one that can't be imported.
    """
    try:
        if not module.endswith(".py"):
            importlib.import_module(module)
            return
        path = Path(module).resolve()
        name = f"tandem_measures_{path.stem}_{abs(hash(str(path))):x}"
        spec = importlib.util.spec_from_file_location(name, path)
        if name in sys.modules or spec is None or spec.loader is None:
            return
        loaded = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    except Exception as error:
        raise UserError(f"measures of {module} can't be imported: {type(error).__name__}: {error}") from error
