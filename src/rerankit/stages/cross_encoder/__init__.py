"""Any cross-encoder as a stage."""
