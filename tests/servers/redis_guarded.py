"""A master with a replica and a sentinel that watches them, as tests ask for it."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from eventlog.demo.server import HOST, RedisServer
from tests.servers.redis_fleet import has_all_of, tell
from tests.servers.redis_server import make_redis
from tests.servers.waiting import until

SERVICE = "mymaster"


class SentinelServer(RedisServer):
    """A sentinel that watches a master and is quick to act."""

    def __init__(self, master: RedisServer, *lines: str, port: int | None = None) -> None:
        """Name the master; `lines` are more of its configuration, `port` is where the master is reached."""
        super().__init__()
        self._lines = [
            f"sentinel monitor {SERVICE} {HOST} {port or master.port} 1",
            f"sentinel down-after-milliseconds {SERVICE} 300",
            f"sentinel failover-timeout {SERVICE} 2000",
            *lines,
        ]
        if master.password:
            self._lines.append(f'sentinel auth-pass {SERVICE} "{master.password}"')

    def start(self) -> Self:
        """Write its configuration, start it and return when it answers."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="eventlog-sentinel-"))
            atexit.register(self.stop)
            configuration = self._folder / "sentinel.conf"
            configuration.write_text("\n".join([f"bind {HOST}", *self._lines, ""]))
            self._options = [str(configuration), "--sentinel"]
        super().start()
        # the periods of its work are for data centres; these are for a test
        tell(self, "SENTINEL", "DEBUG", "info-period", 100, "ask-period", 50, "publish-period", 100)
        return self


class Guarded:
    """A master, its replica and a sentinel."""

    def __init__(self, *extra: str, password: str | None = None) -> None:
        """Make them; nothing runs."""
        options = ["--masterauth", password] if password else []
        self.master = make_redis(*options, *extra, password=password, durable=True)
        self.replica = make_redis(*extra, password=password, replica_of=self.master)
        self._servers = ExitStack()

    def start(self) -> Self:
        """Start them and wait until the sentinel would let the replica take over."""
        for server in (self.master, self.replica):
            self._servers.enter_context(server)
        until(lambda: has_all_of(self.replica, self.master))
        self.sentinel = self._servers.enter_context(SentinelServer(self.master))
        until(self._is_known)
        return self

    def _is_known(self) -> bool:
        found = tell(self.sentinel, "SENTINEL", "REPLICAS", SERVICE)
        return "master-link-status': 'ok'" in str(found).replace("b'", "'").replace("', '", "': '")

    @property
    def url(self) -> str:
        """Where clients find it."""
        who = self.master.url.partition("//")[2].partition("@")[0] + "@" if self.master.password else ""
        return f"redis+sentinel://{who}{HOST}:{self.sentinel.port}/{SERVICE}"

    def named(self) -> int:
        """Give the port of the master that the sentinel names."""
        found = tell(self.sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        assert isinstance(found, (list, tuple))
        return int(found[1])

    def stop(self) -> None:
        """End all of it."""
        self._servers.close()


@contextmanager
def running_guarded(*extra: str, password: str | None = None) -> Iterator[Guarded]:
    """Give a guarded master."""
    guarded = Guarded(*extra, password=password)
    try:
        yield guarded.start()
    finally:
        guarded.stop()
