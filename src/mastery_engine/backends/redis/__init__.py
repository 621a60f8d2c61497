"""Many machines: documents and what replicas share, in Redis."""
