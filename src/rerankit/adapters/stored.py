"""Arrays in files of h5py and zarr, which read what is asked for."""

from __future__ import annotations

import sys
from typing import Any

from rerankit.errors import InputError


def is_stored(value: Any) -> bool:
    """Whether a value is an array in a file of h5py or zarr."""
    kinds = (("h5py", "Dataset"), ("zarr", "Array"))
    known = [getattr(sys.modules.get(library), name, None) for library, name in kinds]
    found = any(kind is not None and isinstance(value, kind) for kind in known)
    if found and type(value).__module__.startswith("h5py") and not value:
        raise InputError("an array of h5py must be open as long as it is read (got one whose file is closed)")
    return found
