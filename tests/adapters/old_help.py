"""What the tests of old layouts share: the classes of langchain-community, without their warnings."""

from __future__ import annotations

import warnings
from typing import Any

import pytest


def old_class(module: str, name: str) -> Any:
    """Give a class that ours stands in for, or end the test where it is missing."""
    with warnings.catch_warnings(action="ignore"):
        found = pytest.importorskip(f"langchain_community.chat_message_histories.{module}")
    return getattr(found, name)
