"""What to do next, and what a tutor would notice."""
