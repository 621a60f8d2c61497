"""The rules of mastery: pure functions and frozen values. No I/O, no clock, no chance, no logging."""
