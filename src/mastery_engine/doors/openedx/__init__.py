"""Open edX: tracking events as evidence."""
