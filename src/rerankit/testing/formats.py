"""The kit for formats: what is written is what is read."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.errors import FormatError
from rerankit.formats.content import CONTENT_NAMES, Format, Tables
from rerankit.testing.process import leaving_alone
from rerankit.testing.run import expect, failing
from rerankit.triples import Triples


def check_format(form: Format) -> None:
    """A format says what it is; everything that it holds is read as it was written, and written as the same bytes. One
    that is only read refuses to write with a `FormatError`.

    >>> from rerankit.formats.npz import NpzFormat
    >>> check_format(NpzFormat())
    """
    expect(bool(form.name and form.description), f"{type(form).__name__} must have a name and a description")
    named = bool(form.suffixes) and all(ending == "" or ending.startswith(".") for ending in form.suffixes)
    expect(named, f"format '{form.name}' must have endings that begin with a point (got {form.suffixes!r})")
    known = bool(form.holds) and all(kind in CONTENT_NAMES for kind in form.holds)
    expect(known, f"format '{form.name}' must hold some of np.ndarray, Tables and Triples (got {form.holds!r})")
    for kind in form.holds:
        with leaving_alone(f"format '{form.name}'"):
            for content in _contents(kind, "qrels" in form.name):
                _check_kept(form, content)


def _contents(kind: type, of_grades: bool) -> list[Any]:
    matrix = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    if kind is np.ndarray:
        return [matrix]
    if kind is Tables:
        more = {"gallery_scores": matrix[:3], "query_features/text": np.array(["", "b c", "ä", "1"])}
        return [Tables(scores=matrix, query_ids=np.array(["a", "b c", "ä", "1"]), gallery_ids=np.arange(3), **more)]
    values = np.array([3.0, 2.0, 1.0]) if of_grades else np.array([3.5, 0.1, -1e-3], np.float32).astype(np.float64)
    names = (["q1", "q1", "q2"], ["a", "b", "a"]), (["q 1", "q 1", "q,2"], ["ä", '"b"', "0"])
    return [Triples(*each, values, "grades" if of_grades else "scores") for each in names]


def _check_kept(form: Format, content: Any) -> None:
    what = f"format '{form.name}', {CONTENT_NAMES[type(content)]}"
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name / f"kept{form.suffixes[0]}" for name in ("one", "two")]
        with failing(what):
            try:
                for path in paths:
                    path.parent.mkdir()
                    form.write(path, content)
            except FormatError:  # it is only read, or cannot hold names with blanks
                return
            found = form.read(paths[0])
            same = _alike(found, content)
        expect(same, f"{what}: what is read is not what was written: {found!r} and {content!r}")
        if paths[0].is_file():
            expect(paths[0].read_bytes() == paths[1].read_bytes(), f"{what}: the same content must give the same bytes")


def _alike(found: Any, content: Any) -> bool:
    if isinstance(content, Triples):
        same = [
            (str(q), str(i), float(np.float32(v)))
            for q, i, v in zip(found.queries, found.items, found.values, strict=True)
        ]
        return same == list(zip(content.queries, content.items, content.values.tolist(), strict=True))
    if isinstance(content, Tables):
        return bool(found.keys() == content.keys()) and all(
            np.array_equal(found[name], content[name]) for name in content
        )
    matrix = np.asarray(found)
    return matrix.shape == content.shape and bool(np.allclose(matrix, content, rtol=1e-6))
