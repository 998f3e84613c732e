"""Tools behind the Model Context Protocol (see docs/serve.md)."""

from mentor.mcp.server import serve

__all__ = ["serve"]
