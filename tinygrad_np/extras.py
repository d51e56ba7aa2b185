"""Packages that only some features need: loaded when they are used, and an error says how to install them."""

from __future__ import annotations

import importlib
from typing import Any


def extra(module: str, name: str, what: str) -> Any:
    """The module, or ImportError with the line that installs it: `name` is the extra that has it, `what` needs it.

    >>> from tinygrad_np.extras import extra
    >>> extra("no_module", "examples", "History.plot()")
    Traceback (most recent call last):
    ImportError: History.plot() needs no_module, which is not installed.  Write: pip install "tinygrad_np[examples]"
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.split(".")[0]
        if error.name is None or error.name.split(".")[0] != package:
            raise
        raise ImportError(
            f'{what} needs {package}, which is not installed.  Write: pip install "tinygrad_np[{name}]"', name=package
        ) from error
