"""The hierarchical scorer: several short descriptions, round by round, against images as sets of regions."""
