"""Courses: their modules and skills."""
