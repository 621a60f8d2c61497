"""Open Badges 3.0: credentials, their proofs, their status, their pictures, and their verification."""
