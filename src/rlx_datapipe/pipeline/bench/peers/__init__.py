"""The book beside those of other packages: the same stream, the same question, answers that must be equal."""
