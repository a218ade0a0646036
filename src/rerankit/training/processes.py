"""Data-parallel training: what one process does, alone or as one of several joined by accelerate."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rerankit.errors import InputError, RerankitError, TrainingError
from rerankit.extras import require


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
        """Replace tensors by their means over processes, in one exchange for each data type."""

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
        """Replace tensors by their means over processes, in one exchange for each data type."""
        for kind in dict.fromkeys(t.dtype for t in tensors):
            same = [t for t in tensors if t.dtype == kind]
            flat = self.mean(torch.cat([t.reshape(-1) for t in same]))
            for tensor, part in zip(same, torch.split(flat, [t.numel() for t in same]), strict=True):
                tensor.copy_(part.view_as(tensor))

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
    """Run `function(*arguments)` in `count` new processes that know each other.

    They are spawned, so `function` and `arguments` must be picklable, and a script that calls this needs the
    usual ``if __name__ == "__main__"``. When one of them fails the others are ended, and its error is raised here.
    """
    require("accelerate", extra="distributed", purpose="training on several devices")
    from torch.multiprocessing.spawn import ProcessException, spawn

    # Pickled here by value: torch's own pickling would share the model's memory between the processes.
    payload = pickle.dumps((function, arguments))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = spawn(  # type: ignore[no-untyped-call]
        _enter, args=(count, port, payload), nprocs=count, join=False
    )
    try:
        while not context.join():
            pass
    except ProcessException as failure:
        raise _told(str(failure)) from failure


def _told(text: str) -> RerankitError:
    """The error of a process, as this process would have raised it."""
    found = [line.partition("TrainingError: ")[2] for line in text.splitlines() if "TrainingError: " in line]
    return TrainingError(found[-1]) if found else InputError(f"training on several devices failed: {text.strip()}")


def _enter(rank: int, count: int, port: int, payload: bytes) -> None:
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(value) for name, value in told.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    function, arguments = pickle.loads(payload)
    try:
        function(*arguments)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
