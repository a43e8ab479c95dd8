"""Raw files and captures become ordered batches of events."""
