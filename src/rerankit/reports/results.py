"""`report`: results as one page that needs no other file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

from rerankit.bench import Result
from rerankit.errors import InputError, rule
from rerankit.files import atomic, check_free
from rerankit.problem import Problem
from rerankit.reports.page import render
from rerankit.reports.queries import Thumbnails
from rerankit.reports.views import chapters

Results: TypeAlias = "Result | str | os.PathLike[str] | Iterable[Result | str | os.PathLike[str]]"


@dataclass(frozen=True, repr=False)
class Report:
    """A report as HTML, in one piece."""

    html: str
    path: Path | None = None

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the page; what is there already is replaced only with `overwrite`."""
        target = Path(path)
        check_free(target, overwrite=overwrite)
        with atomic(target, overwrite=overwrite) as temporary:
            temporary.write_text(self.html, encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return f"Report({len(self.html) / 1e6:.1f} MB{f', {self.path}' if self.path else ''})"

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{escape(self.html)}" style="width:100%;height:40rem;border:0"></iframe>'


def report(
    results: Results,
    out: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    metric: str | None = None,
    show: Problem | Mapping[str, Problem] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Report:
    """One self-contained page about results of `bench`: tables, charts, the queries that moved, provenance.

    results: results, or files and folders of them; of one task or of several.
    out: where the page goes; it is given back as well, and notebooks show it. What is there already is replaced only
    with `overwrite`.
    metric: by which systems are sorted and drawn, such as "success@1"; the task's main one by default.
    show: the problem whose features say what items look like (pictures, texts), or one for each part by its name,
    for results that only know ids.
    options: those of `compare_results`: baseline, metrics, parts, independent, samples, level, test.

    >>> import tempfile
    >>> import numpy as np
    >>> from rerankit.bench import bench
    >>> from rerankit.tasks import task
    >>> folder = tempfile.mkdtemp()
    >>> small = task("generic").write_miniature(Path(folder)).load(folder)
    >>> page = report(bench(small, np.eye(6, 9), "mutual-rank", k=5), f"{folder}/report.html", samples=200)
    >>> page.path.name
    'report.html'
    """
    if out is not None:
        check_free(out, overwrite=overwrite)
    found = read_results(results)
    if not found:
        raise rule("results", "must hold at least one result", "none")
    made = chapters(found, metric, **options)
    html = render(made, Thumbnails(_shown(show, [view.part for each in made for view in each.views])), title)
    if out is None:
        return Report(html)
    return Report(html, Report(html).save(out, overwrite=overwrite))


def read_results(given: Results) -> list[Result]:
    """Results from results, files and folders."""
    if isinstance(given, (Result, str, os.PathLike)):
        given = [given]
    found: list[Result] = []
    for each in given:
        if isinstance(each, Result):
            found.append(each)
            continue
        path = Path(each)
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise InputError(f"'results': {path} has no results in it (got no .json file)")
        found += map(Result.read, files)
    return found


def _shown(show: Problem | Mapping[str, Problem] | None, parts: list[str]) -> dict[str, Problem]:
    if show is None:
        return {}
    if isinstance(show, Problem):
        return dict.fromkeys(parts, show)
    unknown = [name for name in show if name not in parts]
    if unknown:
        raise InputError(f"'show' must name parts of the results: {', '.join(parts)} (got {', '.join(unknown)})")
    return dict(show)
