"""Any cross-encoder as a stage."""

__all__ = ["chat", "pair_models", "stage"]
