"""The hierarchical scorer: several short descriptions, round by round, against images as sets of regions."""

__all__ = ["candidates", "cascade", "config", "fitting", "published", "representation", "scoring", "stage"]
