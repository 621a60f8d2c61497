"""The face that no one calls: it works the log."""
