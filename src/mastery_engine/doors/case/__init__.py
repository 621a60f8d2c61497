"""CASE 1.0 and 1.1 (1EdTech Competencies and Academic Standards Exchange): standards become curricula."""
