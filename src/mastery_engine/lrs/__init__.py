"""xAPI's own resources, pure: what a statement may be, what it is found by, how it is compared, shown and signed."""
