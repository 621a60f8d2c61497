"""The Model Context Protocol's face: what agents call. ``server`` puts it together."""
