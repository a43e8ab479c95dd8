"""A seeded market that speaks the venues' protocols."""
