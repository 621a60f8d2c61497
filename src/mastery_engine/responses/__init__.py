"""The answers of the services, as HTTP, MCP and the commands send them."""
