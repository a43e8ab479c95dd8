"""The metrics by family, one module each."""
