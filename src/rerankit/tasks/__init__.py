"""Benchmark tasks as data, one file per dataset."""

from __future__ import annotations

from typing import Any

from rerankit.plugins import manager
from rerankit.tasks.base import Benchmark, Card, DataFile, Matrix, Part, Task, counted, fault, grouped, located, refuse

__all__ = [
    "Benchmark",
    "Card",
    "DataFile",
    "Matrix",
    "Part",
    "Task",
    "counted",
    "fault",
    "grouped",
    "located",
    "refuse",
    "task",
    "tasks_available",
]


def task(name: str, **params: Any) -> Task:
    """The task of a name; `params` choose a variant of its protocol."""
    entry = manager().tasks.entry(name)
    entry.check_parameters(params)
    found: Task = entry.make(**params)
    return found


def tasks_available() -> list[str]:
    """The names of all tasks, sorted."""
    return list(manager().tasks)
