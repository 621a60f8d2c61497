"""Canvas Live Events: events as evidence."""
