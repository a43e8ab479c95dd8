"""Is the dataset like the market? Metrics, distances and verdicts that respect dependence."""
