"""Where a collection is and what opens it: URLs, clients, identities, processes; and no word of the key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from rockset import Regions, RocksetClient

import eventlog
from eventlog.adapters import from_url
from eventlog.adapters.rockset import RocksetBackend
from eventlog.errors import ConfigurationError
from tests.contract.suite import ALL, messages
from tests.rockset.conftest import COLLECTION, KEY, Make, client_of
from tests.servers.rockset import RocksetServer


def test_a_collection_has_one_identity_from_a_url_and_a_client(
    server: RocksetServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address, the workspace and the name, and no key."""
    monkeypatch.setenv("ROCKSET_API_KEY", KEY)
    url = f"rockset://127.0.0.1:{server.port}/commons/{COLLECTION}?tls=false"
    same = [from_url(url), RocksetBackend(client_of(server), COLLECTION), make(), from_url(url + "&create=true")]
    assert {backend.identity for backend in same} == {f"rockset:127.0.0.1:{server.port}/commons/{COLLECTION}"}
    for backend in same:
        assert backend.append({"s": messages(2)}) == {}
        assert backend.read("s", limit=ALL) == messages(2)
        assert KEY not in repr(backend) + str(vars(backend))
        backend.close()


def test_a_client_of_a_region_is_known_by_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from the URL."""
    monkeypatch.setenv("ROCKSET_API_KEY", KEY)
    client = RocksetClient(host=Regions.euc1a1, api_key=KEY)
    assert RocksetBackend(client, "c").identity == "rockset:api.euc1a1.rockset.com/commons/c"
    assert from_url("rockset://api.euc1a1.rockset.com/commons/c").identity == RocksetBackend(client, "c").identity


@pytest.mark.parametrize(
    "url",
    [
        "rockset://host",
        "rockset://host/collection",
        "rockset:///w/c",
        "rockset://key@host/w/c",
        "rockset://host:port/w/c",
        "rockset://host/w/c?what=1",
        "rockset://host/w/c%22%20--",
    ],
)
def test_a_url_that_says_too_little_or_too_much_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is expected; a name that would be SQL is none."""
    monkeypatch.setenv("ROCKSET_API_KEY", KEY)
    with pytest.raises(ConfigurationError, match="expected"):
        from_url(url)


def test_a_key_is_asked_for_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before a URL is used."""
    monkeypatch.delenv("ROCKSET_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="ROCKSET_API_KEY"):
        from_url("rockset://host/w/c")
    with pytest.raises(ConfigurationError, match="RocksetClient"):
        RocksetBackend(cast("Any", object()), "c")


def test_the_status_says_that_the_service_is_gone(make: Make, tmp_path: Path) -> None:
    """For whoever looks why it does not answer."""
    with eventlog.open(make(), journal=tmp_path / "j") as log:
        assert "2024-09-30" in (log.status().backends["rockset"].note or "")


def test_a_busy_parent_and_its_forked_children_all_go_on(server: RocksetServer) -> None:
    """Each has connections of its own: on one that two share, both would read the other's replies."""
    url = f"rockset://127.0.0.1:{server.port}/commons/{COLLECTION}?tls=false"
    words = [sys.executable, "-m", "tests.servers.family", url, "4"]
    done = subprocess.run(
        words, env={**os.environ, "ROCKSET_API_KEY": KEY}, capture_output=True, text=True, timeout=55, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = server.collections["commons", COLLECTION].seen()
    assert len(list(seen.rows({"session": "children"}))) == 4
