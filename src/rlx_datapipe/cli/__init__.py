"""The door: commands in the order of the data line."""
