"""Live capture: what an exchange sends becomes sealed raw segments, byte for byte."""
