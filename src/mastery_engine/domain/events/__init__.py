"""Learning events: the envelope, what each kind holds, and which of them a document has applied."""
