"""Scores of whole galleries as a folder of matrices."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from rerankit.errors import rule
from rerankit.files import atomic, check_free, write_manifest
from rerankit.files.names import check_name
from rerankit.scores import as_scores, blocks


def write_matrices(
    scored: Iterable[tuple[str, Any]], out: str | os.PathLike[str], *, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Scores by name (queries, gallery), of any form, as NAME.npy in the folder `out`; a row of figures for each file.

    One is taken after the other and written block by block, so that only one need be there at a time. With
    `overwrite` a folder of earlier scores is replaced, one with anything else in it never.
    """
    check_free(out, overwrite=overwrite, argument="out")
    rows: list[dict[str, Any]] = []
    with atomic(out, overwrite=overwrite) as folder:
        folder.mkdir()
        started = time.monotonic()
        for name, given in scored:
            scores = as_scores(given, name)
            if not scores.complete:
                raise rule(name, "must be scores of every item: a file of a matrix has no gaps", "lists")
            check_name(name, portable=True)
            path = folder / f"{name}.npy"
            file = np.lib.format.open_memmap(path, mode="w+", dtype="<f4", shape=scores.shape)
            for block in blocks(scores.shape[0], 4 * scores.shape[1]):
                file[block] = scores.rows(block)
            file.flush()
            del file
            now = time.monotonic()
            rows.append({"file": path.name, "shape": list(scores.shape), "seconds": round(now - started, 3)})
            started = now
        write_manifest(folder, "scores")
    return rows
