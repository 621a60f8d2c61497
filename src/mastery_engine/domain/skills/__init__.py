"""Knowledge tracing: what a student knows, skill by skill."""
