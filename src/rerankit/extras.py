"""Optional packages: one place to import them, one error when they are absent."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType

from rerankit.errors import MissingExtraError

EXTRAS: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "pillar": ("torch", "torch_geometric"),
    "hmrn": ("torch",),
    "triplet": ("torch", "transformers", "PIL"),
    "cross-encoder": ("torch", "safetensors", "transformers", "PIL", "sentence_transformers"),
    "learn": ("sklearn",),
    "parquet": ("pyarrow",),
    "report": ("matplotlib", "PIL"),
    "demo": ("sklearn", "matplotlib", "PIL"),
    "eccv": ("eccv_caption",),
    "distributed": ("torch", "accelerate"),
}
"""Every extra of the distribution and the modules it brings."""


def require(module: str, *, extra: str, purpose: str | None = None) -> ModuleType:
    """The module, or an error that says what to install.

    >>> require("json", extra="torch").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        # A package that is present but broken must not be reported as absent.
        if find_spec(module.partition(".")[0]) is not None:
            raise MissingExtraError(f"'{module}' is installed but fails to import: {cause}") from cause
        wanted = f"{purpose} needs" if purpose else "this needs"
        raise MissingExtraError(
            f"{wanted} the package '{module.partition('.')[0]}', which is not installed: "
            f"pip install 'rerankit[{extra}]'"
        ) from cause


def absent(extra: str) -> list[str]:
    """Modules of an extra that are not installed, without importing any."""
    return [module for module in EXTRAS[extra] if find_spec(module) is None]
