"""Cohorts: named groups of students, and where each member stands in them."""
