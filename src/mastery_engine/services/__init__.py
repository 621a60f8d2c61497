"""The services: one class for each capability of the engine, each with only the ports that it needs."""
