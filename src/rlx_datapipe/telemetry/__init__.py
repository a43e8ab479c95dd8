"""Metrics out: what runs count of themselves, in the format of Prometheus."""
