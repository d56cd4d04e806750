"""Where a cache is and what opens it: URLs, clients, identities, processes; and no word of the key."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from momento import CacheClient, Configurations, CredentialProvider

import eventlog
from eventlog.adapters import from_url
from eventlog.adapters.memory import MemoryBackend
from eventlog.adapters.momento import MomentoBackend
from eventlog.errors import BackendUnavailable, ConfigurationError
from tests.contract.suite import ALL, messages
from tests.momento.conftest import CACHE, KEY, Make, client_of
from tests.servers.momento import MomentoServer

OLD_KEY = base64.b64encode(json.dumps({"endpoint": "cell.momentohq.com", "api_key": KEY}).encode()).decode()


def test_a_cache_has_one_identity_from_a_url_a_client_and_credentials(
    server: MomentoServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint and the name, and no key."""
    monkeypatch.setenv("MOMENTO_API_KEY", KEY)
    url = f"momento://{CACHE}?endpoint=127.0.0.1:{server.port}"
    same = [from_url(url), MomentoBackend(client_of(server), CACHE), make(), from_url(url + "&create=true")]
    assert {backend.identity for backend in same} == {f"momento:127.0.0.1:{server.port}/{CACHE}"}
    for backend in same:
        assert backend.append({"s": messages(2)}) == {}
        assert backend.read("s", limit=ALL) == messages(2)
        assert KEY not in str(vars(backend)) + str(vars(backend._clients)) + repr(backend._clients.place)  # type: ignore[attr-defined]
        backend.close()


@pytest.mark.parametrize("secure", [True, False])
def test_a_client_tells_all_that_it_was_made_with(*, secure: bool) -> None:
    """What is read of the SDK's own is what this version has."""
    given = CredentialProvider(KEY, "control.host", "cache.host", "cache.host", 443 if secure else 8080)
    client = CacheClient(Configurations.Laptop.v1(), given, timedelta(seconds=1))
    assert MomentoBackend(client, CACHE)._clients.place.credentials == given


def test_the_endpoint_may_be_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is in those that the console gave out first; the address is then known without asking."""
    monkeypatch.setenv("MOMENTO_API_KEY", OLD_KEY)
    assert from_url("momento://chats").identity == "momento:cache.cell.momentohq.com/chats"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("momento://chats", "MOMENTO_API_KEY"),
        ("momento:///chats", "expected momento://cache-name"),
        ("momento://key@chats", "expected momento://cache-name"),
        ("momento://chats/more", "expected momento://cache-name"),
        ("momento://chats?endpoint=host:port", "port of 1 to 65535"),
        ("momento://chats?endpoint=h:1&ttl=3", "option 'ttl'"),
        ("momento://chats?endpoint=h:1&longest_ttl_s=x", "no number"),
        ("momento://chats?endpoint=h:1&longest_ttl_s=0", "at least 1"),
    ],
)
def test_a_url_that_says_too_little_is_refused(url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is expected."""
    monkeypatch.delenv("MOMENTO_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=words):
        from_url(url)


def test_a_key_that_cannot_be_read_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the error nor in what it came from."""
    monkeypatch.setenv("MOMENTO_API_KEY", "no-such-key-format")
    with pytest.raises(ConfigurationError) as caught:
        from_url("momento://chats")
    assert "no-such-key-format" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_what_is_no_client_is_refused() -> None:
    """With what to give instead."""
    with pytest.raises(ConfigurationError, match="CredentialProvider"):
        MomentoBackend(object(), CACHE)  # type: ignore[arg-type]


def test_that_it_is_a_cache_is_said_once_and_in_the_status(
    make: Make, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """With how long what it holds may live."""
    with eventlog.open(make(), journal=tmp_path / "j") as log:
        for number in range(3):
            log.history("s").add(number)
            assert log.flush(20)
        assert "24 h after the last write" in (log.status().backends["momento"].note or "")
    assert [record.levelname for record in caplog.records if "a cache" in record.message] == ["WARNING"]


def test_reads_do_not_depend_on_it_beside_a_backend_that_keeps(
    server: MomentoServer, make: Make, tmp_path: Path
) -> None:
    """Although it is named first: what it let go is read from the other, and is complete."""
    with eventlog.open(make(), MemoryBackend(), journal=tmp_path / "j") as log:
        log.history("s").add("hi")
        assert log.flush(20)
        server.advance(timedelta(hours=30))
        found = log.history("s").messages()
        assert (list(found), found.source, found.complete) == (["hi"], "memory", True)
        assert log.sessions() == ["s"]
        server.stop()
        assert log.history("s").messages().complete
        server.start()


def test_a_busy_parent_and_its_forked_children_all_go_on(server: MomentoServer) -> None:
    """What gRPC has does not survive a fork: a child has connections of its own and touches none of its parent's."""
    url = f"momento://{CACHE}?endpoint=127.0.0.1:{server.port}"
    words = [sys.executable, "-m", "tests.servers.family", url, "4"]
    done = subprocess.run(
        words, env={**os.environ, "MOMENTO_API_KEY": KEY}, capture_output=True, text=True, timeout=55, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(server.caches[CACHE].sorted_set(b"eventlog:0:children") or ()) == 4


def test_a_closed_client_of_the_user_is_no_concern_of_ours(server: MomentoServer) -> None:
    """Our connections are our own, and his are his."""
    client = client_of(server)
    backend = MomentoBackend(client, CACHE)
    backend.append({"s": messages(1)})
    client.__exit__(None, None, None)
    assert backend.append({"s": messages(2)}) == {}
    backend.close()
    server.stop()
    with pytest.raises(BackendUnavailable):
        backend.read("s", limit=1)
    server.start()
