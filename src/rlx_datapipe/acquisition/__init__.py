"""Archives become staged, certified files: found, planned, fetched, checked."""
