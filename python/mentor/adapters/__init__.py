"""Tool sets as the tools of other frameworks; each is imported when its adapter is called.

What is given is a `mentor.ToolSet`, whose calls know of no other, or a `mentor.tools.ToolSession`, whose state is kept.
"""

from mentor.adapters.langchain_tools import langchain
from mentor.adapters.smolagents_tools import smolagents
from mentor.adapters.verifiers_tools import verifiers

__all__ = ["langchain", "smolagents", "verifiers"]
