"""The MCP server over stateless streamable HTTP, which the service mounts at ``/mcp``."""

from collections.abc import Callable

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from mastery_engine.auth.access import Caller
from mastery_engine.engine import Engine
from mastery_engine.mcp.server import make_server


def make_agent_server(engine: Engine, who: Callable[[], Caller]) -> StreamableHTTPSessionManager:
    """The session manager that answers agents. Host names are not checked, since every call needs a token first."""
    server = make_server(engine, who)
    server.streamable_http_app(
        stateless_http=True,
        json_response=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return server.session_manager
