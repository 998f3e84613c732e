"""JSON Schemas of arguments, judged by the code that scoring uses: a call that runs is one that counts as valid."""

from mentor._core import ArgumentSchema

__all__ = ["ArgumentSchema"]
