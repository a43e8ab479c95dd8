"""The line of data itself: stages joined into runs."""
