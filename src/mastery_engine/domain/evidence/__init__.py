"""Evidence of what a student did, which merges in any order, and the score that follows from it."""
