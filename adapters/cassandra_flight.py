"""Room: many statements on their way at once, bounded.

Rules:
* When one fails in a way that concerns the store as a whole, no more are sent; those on their way are waited for.
* Nobody waits for ever, whatever becomes of the driver's own timers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import Any

from eventlog.errors import BackendError, BackendUnavailable, EventRejected, SessionUnavailable

IN_FLIGHT_MAX = 128
ANSWER_TIMEOUT_S = 30.0
"""Well above what the driver gives a request, after which it tells of it itself."""

Statement = tuple[str, Any]
"""A session, and what is asked for it."""


class Flight:
    """Statements that belong together."""

    def __init__(self, session: Any, tell: Callable[[BaseException, str], BackendError]) -> None:
        """Take the driver's session, and what turns an error of one of our sessions into ours."""
        self._session, self._tell = session, tell
        self._turns = BoundedSemaphore(IN_FLIGHT_MAX)
        self._whole: BackendError | None = None
        self.failed: dict[str, BackendError] = {}
        self.found: dict[str, Any] = {}

    def fly(self, statements: Iterable[Statement]) -> dict[str, BackendError]:
        """Send all; when each was answered, give the sessions that failed for reasons of their own, or raise."""
        for owner, statement in statements:
            self._wait_for_turn()
            if self._whole is not None:
                self._turns.release()
                break
            self._send(owner, statement)
        for _ in range(IN_FLIGHT_MAX):
            self._wait_for_turn()
        if self._whole is not None:
            raise self._whole
        return self.failed

    def _wait_for_turn(self) -> None:
        if not self._turns.acquire(timeout=ANSWER_TIMEOUT_S):
            raise BackendUnavailable(
                f"expected an answer of Cassandra's driver within {ANSWER_TIMEOUT_S} s, found none"
            )

    def _send(self, owner: str, statement: Any) -> None:
        try:
            future = self._session.execute_async(statement)
        except Exception as error:  # noqa: BLE001 (as if it had been answered so)
            self._on_error(error, owner)
        else:
            future.add_callbacks(self._on_answer, self._on_error, callback_args=(owner,), errback_args=(owner,))

    def _on_answer(self, rows: Any, owner: str) -> None:
        if rows:
            self.found[owner] = rows
        self._turns.release()

    def _on_error(self, error: BaseException, owner: str) -> None:
        told = self._tell(error, owner)
        if isinstance(told, (SessionUnavailable, EventRejected)):
            self.failed[owner] = told
        else:
            self._whole = told
        self._turns.release()
