"""Proofs that a crash changes nothing: kills at every point, power cuts at every moment."""
