"""What a test does that needs a server which is not there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing_server(reason: str) -> NoReturn:
    """Skip on a laptop; fail where CI=true, so that nothing goes untested unseen."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
