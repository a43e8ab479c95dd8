"""The measured claims: benchmarks that tell figure, target, and the ratio that no machine changes."""
