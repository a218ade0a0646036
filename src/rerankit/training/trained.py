"""Trained: a stage whose networks the training loop teaches; importable without torch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rerankit.arrays import AnyArray
from rerankit.errors import InputError, TrainingError
from rerankit.extras import require
from rerankit.pipelines.trainable import Judged, Learning, Trainable
from rerankit.problem import Problem
from rerankit.relevance import Relevance
from rerankit.threads import first_use
from rerankit.training.settings import TrainingSettings

if TYPE_CHECKING:
    import torch

    from rerankit.training.task import TrainingTask

Network = TypeVar("Network", bound="torch.nn.Module")
Made = TypeVar("Made")
TrainingPart = tuple[str, "TrainingTask", TrainingSettings]


class Trained(Trainable):
    """A stage whose networks are trained by the training loop, one part after the other. A subclass makes a task
    of each part (`tasks`) and takes what it learned afterwards (`take`).

    The best weights by the first figure of the validation are kept (without one, the last), also when training breaks
    down, which raises `TrainingError`. A stage that has weights goes on from them. What happened is in `histories`.
    """

    extra: ClassVar[str] = "torch"
    """What the networks need: the extra that installs it."""

    takes = ("validation", "settings", "out")

    def training_settings(self) -> TrainingSettings:
        """How it is trained by default."""
        return TrainingSettings()

    @abstractmethod
    def tasks(
        self, problem: Problem, relevance: Relevance, validation: Judged | None, settings: TrainingSettings
    ) -> Iterator[TrainingPart]:
        """A name (also of its folder; "" when there is one part), a task and its settings for each part; the next part
        is asked for when the one before it is trained and taken.
        """

    @abstractmethod
    def take(self, part: str, task: Any) -> None:
        """Keep what the task of a part has learned."""

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        require("torch", extra=self.extra, purpose=f"training '{self.name}'")
        from rerankit.training.devices import pick
        from rerankit.training.starting import train

        pick(self.get_params().get("device", "auto"))  # where it will answer: no training for a place that is not there
        histories = {}
        settings = how.settings or self.training_settings()
        for name, task, own in self.tasks(problem, relevance, how.validation, settings):
            out = None if how.out is None else how.out / name
            try:
                histories[name] = train(task, own, out, resume=how.resume)
            except TrainingError:  # the model holds what was good
                self.take(name, task)
                raise
            self.take(name, task)
        self.histories = histories


class Reasoner(Trained):
    """A trained stage with one set of arrays for weights, from which its network is made when it is first needed."""

    device: str
    _network: Any = None
    of_training: ClassVar[tuple[str, ...]] = ()
    """Weights that are not of the network."""

    @abstractmethod
    def build(self) -> torch.nn.Module:
        """A new network of this stage's sizes."""

    def set_weights(self, weights: dict[str, AnyArray]) -> None:
        super().set_weights(weights)
        self._network = None

    def loaded(self, network: Network, *, strict: bool = True) -> Network:
        """A network with the weights, as far as there are any."""
        import torch

        state = {name: torch.tensor(array) for name, array in self._weights.items() if name not in self.of_training}
        try:
            if state:
                network.load_state_dict(state, strict=strict)
        except RuntimeError as cause:
            raise InputError(f"the weights do not fit the sizes of {self!r}: {cause}") from cause
        return network

    @property
    def network(self) -> Any:
        """The network with the weights, on its device, ready to score."""
        with first_use:
            if self._network is None and self.learned:
                require("torch", extra=self.extra, purpose=f"stage '{self.name}'")
                self._network = seeded(0, self._ready)  # weights take the place of what it draws
            return self._network

    def _ready(self) -> Any:
        from rerankit.training.devices import pick

        return self.loaded(self.build()).to(pick(self.device)).eval()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}


def seeded(seed: int, build: Callable[[], Made]) -> Made:
    """A network whose random weights follow from a seed alone; torch's own generator is left as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def arrays_of(network: torch.nn.Module) -> dict[str, AnyArray]:
    """Weights and buffers by name."""
    return {name: tensor.cpu().numpy().copy() for name, tensor in network.state_dict().items()}
