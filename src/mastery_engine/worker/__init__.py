"""The worker: it folds the events in the log, and runs the purge, replay and lag measurement beside it."""
