"""What the standard asks of a statement: one rule a function, named after it, by subject."""
