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
    "transformers": ("torch", "transformers", "safetensors", "PIL"),
    "vlm": ("torch", "transformers", "safetensors", "PIL", "torchvision"),
    "triplet": ("torch", "transformers", "safetensors", "PIL"),
    "cross-encoder": ("torch", "safetensors", "transformers", "PIL", "sentence_transformers"),
    "learn": ("sklearn",),
    "faiss": ("faiss",),
    "pandas": ("pandas",),
    "optuna": ("optuna",),
    "parquet": ("pyarrow",),
    "polars": ("polars",),
    "ranx": ("ranx",),
    "pyterrier": ("pyterrier", "pandas"),
    "lancedb": ("lancedb", "pyarrow"),
    "langchain": ("langchain_core",),
    "llama-index": ("llama_index",),
    "haystack": ("haystack",),
    "hdf5": ("h5py",),
    "lance": ("lance", "pyarrow"),
    "hub": ("huggingface_hub",),
    "ir-datasets": ("ir_datasets",),
    "milvus": ("pymilvus",),
    "qdrant": ("qdrant_client",),
    "rerankers": ("rerankers",),
    "weaviate": ("weaviate",),
    "mteb": ("torch", "mteb"),
    "report": ("matplotlib", "PIL", "jinja2"),
    "demo": ("sklearn", "matplotlib", "PIL", "jinja2", "torch", "transformers", "safetensors"),
    "eccv": ("eccv_caption",),
    "distributed": ("torch", "accelerate"),
    "ray": ("ray",),
    "serve": ("starlette", "uvicorn"),
}
"""Every extra of the distribution and the modules it brings."""


def require(module: str, *, extra: str, purpose: str | None = None, least: str | None = None) -> ModuleType:
    """The module, or an error that says what to install: a package that is absent, or older than `least`.

    >>> require("json", extra="torch").__name__
    'json'
    """
    top = module.partition(".")[0]
    try:
        package = importlib.import_module(top)
        if least is None or not _older(package.__version__, least):
            return importlib.import_module(module)
    except ImportError as cause:
        # A package that is present but broken must not be reported as absent.
        if find_spec(top) is not None:
            raise MissingExtraError(f"'{module}' is installed but fails to import: {cause}") from cause
        raise _missing(top, extra, purpose or "this") from cause
    raise MissingExtraError(
        f"{purpose or 'this'} needs {top} {least} or later (got {package.__version__}): pip install 'rerankit[{extra}]'"
    )


def explained(error: ImportError, purpose: str) -> MissingExtraError | None:
    """The error with the install line for an import that failed on an extra's package, or None for any other.

    >>> explained(ModuleNotFoundError("No module named 'torch'", name="torch"), "stage 'pillar'")
    MissingExtraError("stage 'pillar' needs the package 'torch', which is not installed: pip install 'rerankit[torch]'")
    """
    name = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if name in modules), None)
    if extra is None or not isinstance(error, ModuleNotFoundError):
        return None
    return _missing(name, extra, purpose)


def _older(version: str, least: str) -> bool:
    from packaging.version import Version

    return Version(version) < Version(least)


def _missing(module: str, extra: str, purpose: str) -> MissingExtraError:
    return MissingExtraError(
        f"{purpose} needs the package '{module}', which is not installed: pip install 'rerankit[{extra}]'"
    )


def absent(extra: str) -> list[str]:
    """Modules of an extra that are not installed, without importing any."""
    return [module for module in EXTRAS[extra] if find_spec(module) is None]
