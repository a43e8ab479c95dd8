"""A market with known laws: self-exciting order flow, a matching book, planted episodes, and the truth of it."""
