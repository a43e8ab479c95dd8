"""States become tables."""
