"""A market with known laws: self-exciting order flow, a matching book, planted episodes, and its truth."""
