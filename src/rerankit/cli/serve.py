"""`rerankit serve`: a prepared gallery behind HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._options import TrustOption
from rerankit.cli._output import say


def serve(
    folder: Annotated[Path, typer.Argument(help="What `rerankit prepare` wrote.")],
    host: Annotated[str, typer.Option(help="The address to listen on; only this machine by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(help="Processes that share the mapped gallery.")] = 1,
    candidates: Annotated[int, typer.Option(help="The most items of one request.")] = 1000,
    queries: Annotated[int, typer.Option(help="The most queries of one request.")] = 256,
    megabytes: Annotated[float, typer.Option(help="The longest body of a request.")] = 16.0,
    seconds: Annotated[float, typer.Option(help="How long a request may take.")] = 30.0,
    gather: Annotated[float, typer.Option(help="Seconds to wait for queries to answer together.")] = 0.002,
    megapixels: Annotated[float, typer.Option(help="The most that a request's pictures have together.")] = 40.0,
    trust: TrustOption = False,
) -> None:
    """Answer HTTP requests from a prepared gallery: /search, /rerank, /v1/rerank, /health, /info, /metrics.

    Clients must send the token of the environment variable RERANKIT_TOKEN, where it is set, as a bearer token.
    """
    from rerankit import checks
    from rerankit.extras import require
    from rerankit.serving import Bounds

    for module in ("starlette", "uvicorn"):
        require(module, extra="serve", purpose="rerankit serve")
    from rerankit.serving.server import serve as run

    checks.integer("workers", workers, least=1)
    size = int(checks.number("megabytes", megabytes, above=0) * 1e6)
    pixels = int(checks.number("megapixels", megapixels, above=0) * 1e6)
    bounds = Bounds(size, candidates, queries, seconds, gather, pixels)
    run(
        folder,
        host=host,
        port=port,
        workers=workers,
        bounds=bounds,
        trust=trust,
        listening=lambda where: say(f"serving {folder} on {where}"),
    )
