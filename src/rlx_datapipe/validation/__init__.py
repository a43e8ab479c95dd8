"""Is the dataset correct? Rules give findings."""
