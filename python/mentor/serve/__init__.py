"""The sandbox behind HTTP, in place of the servers of MENTOR/ReCall and SandboxFusion (see docs/serve.md)."""

from mentor.serve.server import serve
from mentor.serve.settings import Settings

__all__ = ["Settings", "serve"]
