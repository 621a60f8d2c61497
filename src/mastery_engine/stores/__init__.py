"""Where documents live. One Protocol in ``base``; a module for each thing that implements it."""
