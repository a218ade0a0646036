"""Data-parallel training: what one process does, alone or as one of several joined by accelerate."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor, nn

from rerankit.errors import InputError, RerankitError, TrainingError
from rerankit.extras import require
from rerankit.stopping import Stopped, stoppable


class Processes:
    """A process on its own: every exchange is the identity."""

    rank = 0
    world = 1

    @property
    def main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch; never empty (see `weight`)."""
        part = torch.tensor_split(batch, self.world)[self.rank]
        return part if len(part) else batch[:1]

    def weight(self, batch: Tensor) -> float:
        """What this process's mean counts for, so that averaging over processes gives the batch's mean."""
        part = torch.tensor_split(batch, self.world)[self.rank]
        return len(part) * self.world / len(batch)

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over processes."""
        return tensor

    def broadcast(self, value: Any) -> Any:
        """The main process's value, everywhere."""
        return value

    def wait(self) -> None:
        """Until every process is here."""

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over processes."""

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their means; a parameter that no process has used keeps none."""


class Joined(Processes):
    """One of several processes; `accelerate` owns the group and the backend (nccl, or gloo on CPU)."""

    def __init__(self, device: torch.device) -> None:
        accelerate = require("accelerate", extra="distributed", purpose="training on several devices")
        self._utils = accelerate.utils
        self._state = accelerate.PartialState(cpu=device.type == "cpu")
        self.rank = int(self._state.process_index)
        self.world = int(self._state.num_processes)

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over processes."""
        return self._utils.reduce(tensor, reduction="mean")  # type: ignore[no-any-return]

    def broadcast(self, value: Any) -> Any:
        """The main process's value, everywhere."""
        return self._utils.broadcast_object_list([value])[0]

    def wait(self) -> None:
        """Until every process is here."""
        self._state.wait_for_everyone()

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over processes."""
        for tensor, mean in zip(tensors, self._utils.reduce(list(tensors), reduction="mean"), strict=True):
            tensor.copy_(mean)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their means; a parameter that no process has used keeps none."""
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
        shared = [p for p, share in zip(parameters, self.mean(used).tolist(), strict=True) if share > 0]
        for parameter in shared:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.average([p.grad for p in shared if p.grad is not None])


def trained_buffers(model: nn.Module) -> list[Tensor]:
    """Buffers that batches change (running statistics); processes must agree on them."""
    return [buffer for buffer in model.buffers() if buffer.is_floating_point()]


def launched() -> bool:
    """Whether this process was started as one of several (torchrun, accelerate launch, or `launch`)."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join(device: torch.device) -> Processes:
    """The group this process belongs to."""
    return Joined(device) if launched() else Processes()


def launch(function: Callable[..., Any], arguments: tuple[Any, ...], count: int) -> None:
    """Run `function(*arguments)` in `count` new processes that know each other, by torch's elastic launcher, the one
    behind `torchrun` and `accelerate launch`.

    They are spawned, so `function` and `arguments` must be picklable, and a script that calls this needs the
    usual ``if __name__ == "__main__"``. When one of them fails the others are ended, and its error is raised here. A
    signal that asks this process to end ends them and raises `Stopped`, as everywhere.
    """
    require("accelerate", extra="distributed", purpose="training on several devices")
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # The port is the launcher's: its store listens on one that the system gives it, and keeps it.
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=count, run_id=uuid4().hex, rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", local_addr="localhost", max_restarts=0, start_method="spawn",
    )  # fmt: skip
    try:
        # The launcher leaves handlers behind that make an ordinary exception of a signal: work would go on after one.
        with stoppable(), _quiet("torch.distributed.elastic.multiprocessing.api", "torch.multiprocessing.spawn"):
            # Pickled here by value: torch's own pickling would share the model's memory between the processes.
            elastic_launch(config, _enter)(pickle.dumps((function, arguments)))
    except SignalException as stop:
        raise Stopped(stop.sigval) from None
    except ChildFailedError as failure:
        raise _error_of(failure.get_first_failure()[1]) from failure


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """What these loggers say of a process that failed is in the error that is raised here."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _error_of(failure: Any) -> RerankitError:
    """The error of a process, as this process would have raised it; one that was killed has left none."""
    left = failure.error_file_data.get("message")
    text = left["message"] if isinstance(left, dict) else failure.message
    name, _, reason = text.partition(": ")
    if name == TrainingError.__name__:
        return TrainingError(reason)
    return InputError(f"training on several devices failed: {text.strip()}")


def _enter(payload: bytes) -> None:
    function, arguments = pickle.loads(payload)
    try:
        function(*arguments)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
