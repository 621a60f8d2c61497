"""Named groups of students, and where each member stands."""
