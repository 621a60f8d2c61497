"""People: who a student is beside their evidence: names, languages, and ids of other platforms."""
