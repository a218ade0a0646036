"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rerankit.errors import TrainingError
from rerankit.training import processes, state
from rerankit.training.devices import autocast
from rerankit.training.folder import Folder
from rerankit.training.history import History
from rerankit.training.optimizer import build
from rerankit.training.reporter import Reporter
from rerankit.training.schedule import factor
from rerankit.training.seeds import seed_for
from rerankit.training.settings import TrainingSettings
from rerankit.training.task import TrainingTask


class Run:
    """One run: the mutable things, and the steps in the order in which they happen."""

    def __init__(
        self,
        task: TrainingTask,
        settings: TrainingSettings,
        out: Path | None,
        device: torch.device,
        identity: dict[str, Any],
    ) -> None:
        autocast(device, settings.precision)  # refuse an impossible precision before anything moves
        self.task, self.settings, self.device, self.identity = task, settings, device, identity
        self.folder = None if out is None else Folder(out)
        self.processes = processes.join(device)
        task.model.to(device)
        self.optimizer = build(task, settings)
        self.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.progress = state.Progress()
        # What is kept at the end: the best weights or, until there are any, the last that were seen to be finite.
        self.best, self.best_at = state.snapshot(task.model), 0
        self._buffers: list[Tensor] = []
        self._drawn: tuple[int, list[tuple[Tensor, ...]]] = (-1, [])
        per_epoch = math.ceil(task.length / settings.batch_size)
        self.total = settings.epochs * math.ceil(per_epoch / settings.accumulate)

    # -- the course of a run ---------------------------------------------------------------------------

    def go(self, resume: bool) -> History:
        if self.folder is None or not self.processes.main:
            return self._go(resume)
        with self.folder.locked():
            return self._go(resume)

    def _go(self, resume: bool) -> History:
        self._open(resume)
        if not self.progress.finished:
            self._loop()
        if self.progress.best is not None:
            state.restore(self.task.model, self.best)
        self.task.model.eval()
        return self.history

    def _loop(self) -> None:
        self.task.model.train()
        reporter = Reporter(self.total)
        while not self.progress.finished:
            groups = self._groups(self.progress.epoch)
            self._step(groups[self.progress.group])
            self.progress.step += 1
            self.progress.group += 1
            self._after_step(self.progress.group == len(groups))
            if self.processes.main:
                reporter.report(self.progress)

    def _after_step(self, epoch_ends: bool) -> None:
        settings, progress = self.settings, self.progress
        last = epoch_ends and progress.epoch + 1 == settings.epochs
        every = settings.validate_every
        due = epoch_ends if every is None else (progress.step % every == 0 or last)
        if due:
            self._validate()
        if epoch_ends:
            progress.epoch, progress.group = progress.epoch + 1, 0
        if last and not progress.finished:
            progress.finished = "all epochs done"
        if due or progress.finished or (settings.save_every and progress.step % settings.save_every == 0):
            self._save()

    def _groups(self, epoch: int) -> list[tuple[Tensor, ...]]:
        """The batches of an epoch, in groups of `accumulate`: each group is one optimiser step."""
        if self._drawn[0] == epoch:
            return self._drawn[1]
        generator = torch.Generator().manual_seed(seed_for(self.settings.seed, epoch))
        order = torch.randperm(self.task.length, generator=generator)
        batches = torch.split(order, self.settings.batch_size)
        size = self.settings.accumulate
        self._drawn = epoch, [batches[start : start + size] for start in range(0, len(batches), size)]
        return self._drawn[1]

    # -- one optimiser step ----------------------------------------------------------------------------

    def _step(self, group: tuple[Tensor, ...]) -> None:
        self._set_rates()
        # Running statistics change in the forward pass, before a loss that is not finite is seen.
        self._buffers = [buffer.clone() for buffer in processes.trained_buffers(self.task.model)]
        self.optimizer.zero_grad(set_to_none=True)
        self._record(dict(self._backward(group)))
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.processes.average_gradients(parameters)
        self.scaler.unscale_(self.optimizer)
        limit = self.settings.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
        # The scaler of half precision skips steps that overflow; elsewhere such a gradient is the end.
        if self.settings.precision != "fp16" and not bool(torch.isfinite(norm)):
            self._fail("the gradient", self.progress.step + 1)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _backward(self, group: tuple[Tensor, ...]) -> Iterator[tuple[str, Tensor]]:
        """Add up the gradients of a group; returns the means of the loss terms over its examples."""
        count = sum(len(batch) for batch in group)
        means: dict[str, Tensor] = {}
        for number, batch in enumerate(group):
            place = (self.settings.seed, self.progress.step, number, self.processes.rank)
            torch.manual_seed(seed_for(1, *place))
            generator = torch.Generator().manual_seed(seed_for(2, *place))
            with autocast(self.device, self.settings.precision):
                terms = self.task.loss(self.processes.share(batch), generator)
            weight = self.processes.weight(batch) * len(batch) / count
            total = torch.stack([term.float() for term in terms.values()]).sum() * weight
            self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
            for name, term in terms.items():
                means[name] = means.get(name, term.new_zeros(())) + term.detach() * weight
        yield from means.items()

    def _record(self, means: dict[str, Tensor]) -> None:
        vector = self.processes.mean(torch.stack([mean.float() for mean in means.values()]))
        sums = self.progress.sums
        values = dict(zip(means, vector.tolist(), strict=True))
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if broken:
            shown = ", ".join(f"{name} = {values[name]}" for name in broken)
            self._fail(f"the loss ({shown})", self.progress.step + 1)
        self.progress.counted += 1
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value

    def _set_rates(self) -> None:
        progress = self.progress
        scale = factor(self.settings, progress.step, self.total, progress.epoch)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * scale

    def _fail(self, what: str, step: int) -> None:
        best, kept = self.progress.best_step, f"the weights of step {self.progress.step}"
        for buffer, before in zip(processes.trained_buffers(self.task.model), self._buffers, strict=True):
            buffer.data.copy_(before)
        if best is None and not state.finite(self.task.model):
            kept = f"the weights of step {self.best_at}"
            state.restore(self.task.model, self.best)
        if self.folder is not None and self.processes.main:
            self._write(self.folder)
        self.processes.wait()  # the first process that ends takes the others with it
        if best is not None:
            kept = f"the best weights, of step {best},"
            state.restore(self.task.model, self.best)
        self.task.model.eval()
        raise TrainingError(
            f"training stopped at step {step}: {what} is not finite; {kept} are kept. A lower learning_rate, "
            "a warm-up or clip_norm usually helps"
        )

    # -- validation and files --------------------------------------------------------------------------

    def _validate(self) -> None:
        self.processes.average(processes.trained_buffers(self.task.model))
        figures: dict[str, float] = {}
        if self.processes.main:
            self.task.model.eval()
            with torch.no_grad():
                figures = {name: float(value) for name, value in self.task.validate().items()}
            self.task.model.train()
        figures = self.processes.broadcast(figures)
        self._add_row(figures)
        self._judge(figures)

    def _add_row(self, figures: dict[str, float]) -> None:
        progress = self.progress
        means = {name: total / max(1, progress.counted) for name, total in progress.sums.items()}
        row = {
            "step": progress.step,
            "epoch": progress.epoch + 1,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "loss": sum(means.values()),
        }
        row |= {f"loss/{name}": mean for name, mean in means.items()} if len(means) > 1 else {}
        progress.rows.append(row | {f"validation/{name}": value for name, value in figures.items()})
        progress.sums, progress.counted = {}, 0

    def _judge(self, figures: dict[str, float]) -> None:
        progress = self.progress
        if not figures:
            if state.finite(self.task.model):
                self.best, self.best_at = state.snapshot(self.task.model), progress.step
            return
        name, value = next(iter(figures.items()))
        if math.isnan(value):
            self._fail(f"the validation figure {name}", progress.step)
        if progress.best is None or value > progress.best:
            progress.best, progress.best_step, progress.waited = value, progress.step, 0
            self.best = state.snapshot(self.task.model)
            return
        progress.waited += 1
        if self.settings.patience is not None and progress.waited >= self.settings.patience:
            progress.finished = f"no better {name} in {progress.waited} validations"

    @property
    def history(self) -> History:
        return History(list(self.progress.rows), self.progress.best_step, self.progress.finished)

    def _open(self, resume: bool) -> None:
        if self.folder is None:
            return
        payload = self.folder.read(resume, clear=self.processes.main)
        if payload is not None:
            state.check_identity(self.folder.checkpoint, payload, self.identity)
            self._resume(payload)
            if self.processes.main:  # a kill may have come between the checkpoint and what goes with it
                self.folder.record(self.history)

    def _resume(self, payload: dict[str, Any]) -> None:
        state.restore(self.task.model, payload["weights"])
        self.best = payload["best"] or payload["weights"]
        self.optimizer.load_state_dict(payload["optimizer"])
        self.scaler.load_state_dict(payload["scaler"])
        self.progress = state.Progress(**payload["progress"])
        self.best_at = self.progress.step

    def _save(self) -> None:
        if self.folder is None:
            return
        if self.processes.main:
            self._write(self.folder)
        self.processes.wait()

    def _write(self, folder: Folder) -> None:
        payload = self.identity | {
            "weights": state.snapshot(self.task.model),
            "best": self.best if self.progress.best is not None else {},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": vars(self.progress),
        }
        folder.write(payload, self.history)
