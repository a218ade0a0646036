"""Which pipeline to use for a problem, or whether to leave its order alone."""

from rerankit.choosing.chosen import Chosen, Tried
from rerankit.choosing.decision import choose
from rerankit.choosing.tuning import Setting, TunedPipeline, tune

__all__ = ["Chosen", "Setting", "Tried", "TunedPipeline", "choose", "tune"]
