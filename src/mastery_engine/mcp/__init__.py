"""The Model Context Protocol: the tools, resources and prompts for agents. ``server`` puts them together."""
