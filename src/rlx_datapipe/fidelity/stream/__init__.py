"""Tier 1: what is measured of every event in the replay loop, in windows on the clock."""
