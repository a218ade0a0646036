"""Single queries that come at about the same time are answered in one block; a query's answer is the same in any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool

from rerankit.gallery import Gallery
from rerankit.ranking import Ranking


class Gathering:
    """Gathers queries that want as many items for a moment, and answers them together."""

    def __init__(self, gallery: Gallery, rerank: Callable[..., Ranking], seconds: float, most: int) -> None:
        self.gallery, self.rerank, self.seconds, self.most = gallery, rerank, seconds, most
        self.waiting: dict[int, list[tuple[Any, asyncio.Future[Ranking]]]] = {}
        self.blocks = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, query: Any, k: int) -> Ranking:
        """The ranking of one query; what is wrong with it is raised here alone."""
        self.gallery.problem(query)  # so that a bad query spoils no block
        future: asyncio.Future[Ranking] = asyncio.get_running_loop().create_future()
        line = self.waiting.setdefault(k, [])
        line.append((query, future))
        if len(line) >= self.most:
            self._start(k)
        elif len(line) == 1:
            asyncio.get_running_loop().call_later(self.seconds, self._start, k)
        return await future

    def _start(self, k: int) -> None:
        block = self.waiting.pop(k, [])
        if block:
            task = asyncio.get_running_loop().create_task(self._run(block, k))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, block: list[tuple[Any, asyncio.Future[Ranking]]], k: int) -> None:
        self.blocks += 1
        try:
            queries = np.array([query for query, _ in block])
            found = await run_in_threadpool(self.rerank, queries, k=k)
        except Exception as error:
            for _, future in block:
                if not future.done():
                    future.set_exception(error)
            return
        for row, (_, future) in enumerate(block):
            if not future.done():
                future.set_result(found.take([row]))
