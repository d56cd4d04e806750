"""Room: the drop-in for LangChain's history on Cassandra: the driver's session, cassio's globals, names.

Rules:
* A name that is not quoted is lower-cased, as CQL did with what the old class put into its statements.
* Our table is `<table_name>_events`: the old one of the same name lives on beside it.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from eventlog.adapters.langchain_history import AT_ONCE, LogChatMessageHistory
from eventlog.adapters.langchain_logs import Journal, Stand, stand_of_client
from eventlog.errors import ConfigurationError
from eventlog.ports import Backend

if TYPE_CHECKING:
    from cassandra.cluster import Session


class SetupMode(Enum):
    """When the table is made; langchain-community's enum of this name does as well."""

    SYNC = 1
    ASYNC = 2
    OFF = 3


class CassandraChatMessageHistory(LogChatMessageHistory):
    """A drop-in for langchain-community's class of this name.

    `session` and `keyspace` are, where they are left out, those of `cassio.init`; the events lie in a table of their
    own, `<table_name>_events`. `ttl_seconds` is fixed for each message. The table is made when the server is first
    reached, unless `setup_mode` is `SetupMode.OFF`. `ack`, `journal`, `retain` and `legacy` are as for
    Redis.
    """

    def __init__(  # noqa: PLR0913 (the signature that users have)
        self,
        session_id: str,
        session: Session | None = None,
        keyspace: str | None = None,
        table_name: str = "message_store",
        ttl_seconds: int | None = None,
        *,
        setup_mode: Any = SetupMode.SYNC,
        ack: str | None = None,
        journal: Journal = None,
        retain: timedelta | None = AT_ONCE,
        legacy: bool = True,
    ) -> None:
        """Find the log; no server is asked. Raises as `eventlog.open` does, and as cassio where it is not set up."""
        self.session_id, self.ttl_seconds = session_id, ttl_seconds
        stand = _stand_of_session(session, keyspace, table_name, setup_mode, journal)
        self._begin(stand, ack, retain, legacy=legacy)

    @property
    def _lifetime(self) -> int | None:
        return self.ttl_seconds or None


def _stand_of_session(
    session: Session | None, keyspace: str | None, table_name: str, setup_mode: Any, journal: Journal
) -> Stand:
    """Give the stand of a table; cassio is asked for what is None."""
    if session is None or keyspace is None:
        session, keyspace = _of_cassio(session, keyspace)
    provision = SetupMode[setup_mode.name] is not SetupMode.OFF
    among = (keyspace, table_name, provision)

    def make(session: Any) -> Backend:
        from eventlog.adapters.cassandra import CassandraBackend
        from eventlog.adapters.cassandra_old import SUFFIX

        return CassandraBackend(session, _folded(keyspace), _folded(table_name, SUFFIX), provision=provision)

    return stand_of_client(session, journal, make, among)


def _of_cassio(session: Session | None, keyspace: str | None) -> tuple[Any, str]:
    try:
        from cassio.config import check_resolve_keyspace, check_resolve_session
    except ImportError as error:
        raise ConfigurationError("expected a session and a keyspace, or the package 'cassio', found neither") from error
    return check_resolve_session(session), check_resolve_keyspace(keyspace)


def _folded(name: str, suffix: str = "") -> str:
    """Read a name as CQL does."""
    return name[1:-1] + suffix if name[:1] == name[-1:] == '"' else name.lower() + suffix
