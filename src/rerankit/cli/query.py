"""`rerankit query`: queries in, a run out, from a prepared gallery."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._options import ForceOption, TrustOption, check_target, ids_of
from rerankit.cli._output import say


def query(
    folder: Annotated[Path, typer.Argument(help="What `rerankit prepare` wrote.")],
    queries: Annotated[Path, typer.Argument(help="Vectors of queries, (queries, d), as .npy, .safetensors, .csv …")],
    k: Annotated[int, typer.Option("-k", help="Items for each query that are found and re-ranked.")] = 100,
    top_n: Annotated[
        int | None, typer.Option("--top-n", help="How many of these are given out; all by default.")
    ] = None,
    ids: Annotated[Path | None, typer.Option("--ids", help="The queries' ids, .txt (one a line) or .npy.")] = None,
    as_scores: Annotated[
        bool, typer.Option("--as-scores", help="QUERIES holds scores (queries, gallery) in place of vectors.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write a run in place of printing lines.")] = None,
    trust: TrustOption = False,
    force: ForceOption = False,
) -> None:
    """Answer queries from a prepared gallery: a line of JSON for each, or a run with --out."""
    from rerankit import Ready, checks, errors, load, read, write

    ready = load(folder, trust=trust)
    if not isinstance(ready, Ready):
        raise errors.rule("folder", "must hold a prepared gallery: rerankit prepare … --out FOLDER", repr(ready))
    if out is not None:
        check_target(out, "out", force=force)
    given, names = read(queries, "array"), ids_of(ids)
    found = ready.rerank(scores=given, k=k, ids=names) if as_scores else ready.rerank(given, k=k, ids=names)
    found = found.top(k if top_n is None else checks.integer("top-n", top_n, least=1))
    if out is not None:
        write(out, found, overwrite=force)
        say(f"wrote {out}")
        return
    for name, items in found.to_dict().items():
        typer.echo(json.dumps({"query": name, "items": [[item, score] for item, score in items.items()]}))
