"""What import-linter cannot see: the extension is no Python module to it."""

from __future__ import annotations

import ast
from pathlib import Path

import mentor

PACKAGE = Path(mentor.__file__).parent
ALLOWED = ("score", "sandbox", "errors", "__init__")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


def test_only_score_sandbox_and_errors_touch_the_extension() -> None:
    users = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if "mentor._core" in imports(path)}
    assert users
    assert {user.parts[0].removesuffix(".py") for user in users} <= set(ALLOWED)
