"""Work of any kind on an engine: what goes over all scores is cut into shards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rerankit import checks
from rerankit.cutting import cut_by
from rerankit.engines import engine_of
from rerankit.engines.parts import Parts
from rerankit.problem import Problem

SHARD_SIZE = 8192
"""Items, or queries, of a shard, unless it is said: of 100,000 items it takes a few seconds."""
RETRIES = 2
PARTS_PREFIX = "rerankit-parts-"


def checked_size(shard_size: int | None) -> int:
    """How many items, or queries, a shard has: what is given, or the usual number."""
    return checks.integer("shard_size", SHARD_SIZE if shard_size is None else shard_size, least=1)


def shards_of(count: int, size: int) -> int:
    """How many shards of so many items there are of `count`."""
    return -(-count // size)


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder of shards that nobody asked to keep, for the length of a block."""
    with TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def on_engine(engine: Any, problem: Problem, shard_size: int | None = None) -> Iterator[None]:
    """A block in which searches for candidates and stages that look at whole columns are cut into shards on an engine,
    one for every `shard_size` rows of the problem's longer side; None: all is done here. The bits are the same.

    Unlike a run in shards it knows all queries together, so that every stage may stand in it.

    >>> problem = Problem([[0.9, 0.8], [0.7, 0.1]])
    >>> with on_engine("local", problem, shard_size=1):
    ...     print(problem.ranking(1).indices.tolist())
    [[0], [0]]
    """
    size = checked_size(shard_size)
    if engine is None:
        yield
        return
    with temporary_folder(PARTS_PREFIX) as folder:
        where, shards = engine_of(engine), shards_of(max(problem.shape), size)
        with where.kept(), cut_by(Parts(where, folder, shards, retries=RETRIES, durable=False)):
            yield
