"""What the engine costs, beside floors measured in the same run."""
