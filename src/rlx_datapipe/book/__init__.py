"""The L2 order book over scaled integers: pure compute, no I/O."""
