"""Which pipeline to use for a problem, or whether to leave its order alone."""

from rerankit.choosing.chosen import Chosen, Tried
from rerankit.choosing.decision import choose

__all__ = ["Chosen", "Tried", "choose"]
