"""Acquisition: archives become staged, checked and certified files."""
