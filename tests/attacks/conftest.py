"""Assertions of the helper explain themselves too."""

import pytest

pytest.register_assert_rewrite("attack")
