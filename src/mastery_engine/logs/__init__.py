"""Where events wait to be folded, and where results go. One Protocol in ``base``."""
