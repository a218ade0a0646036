"""Composite: a stage that runs other stages, its children."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rerankit.looks import Looks
from rerankit.pipelines.needs import WEIGHTS, Unmet
from rerankit.pipelines.prepared import Change, Prepared, State
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.stage import Stage
from rerankit.pipelines.trainable import Learning, Trainable
from rerankit.problem import Problem
from rerankit.ranking import Ranking

if TYPE_CHECKING:
    from rerankit.gallery import Gallery
    from rerankit.relevance import Relevance
    from rerankit.training.history import History
    from rerankit.training.settings import TrainingSettings


class Composite(Trainable):
    """A stage that runs other stages. A subclass says which (`children`) and how their answers become one (`joined`);
    what they need and look at, whether they are fitted, how they are fitted and what they prepare of a gallery follows
    from theirs.

    >>> from rerankit import Problem, stage
    >>> class Twice(Composite):
    ...     name = "twice"
    ...     def __init__(self, stage):
    ...         self.stage = stage
    ...     @property
    ...     def children(self):
    ...         return (self.stage,)
    ...     def joined(self, children, problem, ranking):
    ...         return children[0].rerank(problem, children[0].rerank(problem, ranking))
    >>> Twice(stage("nnn")).looks_at()
    Looks(queries=True)
    """

    scaling = Scaling(
        "what the stages inside it keep",
        "what they compute",
        "what they share",
        "be cut where one of them cannot",
        "what that of the stages inside it is cut by",
    )

    @property
    def children(self) -> tuple[Stage, ...]:
        raise NotImplementedError(f"{type(self).__name__} must say its 'children'")

    def joined(self, children: Sequence[Stage | Prepared], problem: Problem, ranking: Ranking) -> Ranking:
        """The answer by `children`, or by what each of them has prepared of a gallery: both have `rerank`."""
        raise NotImplementedError(f"{type(self).__name__} must implement 'joined'")

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.joined(self.children, problem, ranking)

    @property
    def own_needs(self) -> tuple[str, ...]:
        """What it needs besides what its children need."""
        return ()

    @property
    def needs(self) -> tuple[str, ...]:
        inside = (need for child in self.children for need in child.needs)
        return tuple(dict.fromkeys((*self.own_needs, *inside)))

    def unmet(self, problem: Problem) -> list[Unmet]:
        return [*super().unmet(problem), *(fault for child in self.children for fault in child.unmet(problem))]

    def needs_on(self, problem: Problem) -> tuple[str, ...]:
        """Its own needs alone; those of its children are asked of them."""
        return self.own_needs

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks.union(child.looks_at(problem) for child in self.children)

    @property
    def fitted(self) -> bool:
        """Whether a child has weights, and none is without that needs them."""
        needing = [child for child in self.children if WEIGHTS in child.needs]
        return all(child.fitted for child in needing) and any(child.fitted for child in self.children)

    @property
    def learners(self) -> dict[str, Trainable]:
        """The children that `fit` fits, by place and name: those that lack weights or, where none does, all it can."""
        places = enumerate(self.children)
        found = {f"{place:02d}-{child.name}": child for place, child in places if isinstance(child, Trainable)}
        found = {name: child for name, child in found.items() if not isinstance(child, Composite) or child.learners}
        lacking = {name: child for name, child in found.items() if WEIGHTS in child.needs and not child.fitted}
        return lacking or found

    set_weights = Stage.set_weights  # its children have weights

    @property
    def takes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(dict.fromkeys(name for child in self.learners.values() for name in child.takes))

    @property
    def histories(self) -> Mapping[str, History]:  # type: ignore[override]
        """Those of its children, by the names of their folders."""
        learners = self.learners.items()
        return {f"{name}/{part}".rstrip("/"): each for name, one in learners for part, each in one.histories.items()}

    def training_settings(self) -> TrainingSettings | None:
        """Those of the one child that is trained in steps; None when there is none, or more than one."""
        found = [own for child in self.learners.values() if (own := child.training_settings()) is not None]
        return found[0] if len(found) == 1 else None

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        """Fit each of its `learners`; those that have weights go on from them."""
        if not self.learners:
            super().learn(problem, relevance, how)
        for name, child in self.learners.items():
            child.fit(problem, relevance, **how.of(child, name))

    def prepare(self, gallery: Gallery) -> Prepared:
        return PreparedComposite(self, gallery, [child.prepare(gallery) for child in self.children])

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        parts = zip(self.children, state.children, strict=True)
        return PreparedComposite(self, gallery, [child.restored(gallery, kept) for child, kept in parts])


class PreparedComposite(Prepared):
    """A composite whose children are prepared."""

    stage: Composite
    keeps = "what the stages inside it keep"

    def __init__(self, stage: Composite, gallery: Gallery, children: Sequence[Prepared]) -> None:
        super().__init__(stage, gallery)
        self._children = tuple(children)

    @property
    def children(self) -> tuple[Prepared, ...]:
        return self._children

    @property
    def by_item(self) -> bool:  # type: ignore[override]
        """Whether a change costs each of its children its items alone."""
        return all(child.by_item for child in self._children)

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """Whether each of its children is exact after a change."""
        return all(child.exact for child in self._children)

    def looks_at(self, problem: Problem) -> Looks:
        return Looks.union(child.looks_at(problem) for child in self._children)

    def updated(self, change: Change) -> Prepared:
        return type(self)(self.stage, change.gallery, [child.updated(change) for child in self._children])

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.joined(self._children, problem, ranking)


def with_inner(one: Stage) -> Iterator[Stage]:
    """A stage, and all those inside it."""
    yield one
    for child in one.children:
        yield from with_inner(child)
