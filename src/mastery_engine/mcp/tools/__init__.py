"""The tools that agents call, a module for each subject."""
