"""The documentation as a site that can be searched and needs no network: ``make docs``."""
