"""What a student did, as evidence that merges in any order, and the score that follows from it."""
