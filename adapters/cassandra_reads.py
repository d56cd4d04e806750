"""Room: rows read page by page, in a thread or in an event loop.

Rule: a page is small, for the driver decodes it in one go while nothing else of the process runs.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from eventlog.adapters.cassandra_links import READS
from eventlog.adapters.cassandra_table import Statements, id_bound

PAGE_ROWS = 1000


def to_read(statements: Statements, session: str, before: bytes | None, limit: int) -> Any:
    """Give what reads the newest `limit` rows below `before`, newest first."""
    if before is None:
        statement = statements.newest.bind((session, limit))
    else:
        statement = statements.newest_before.bind((session, id_bound(before), limit))
    statement.fetch_size = min(limit, PAGE_ROWS)
    return statement


def read_all(session: Any, statement: Any) -> list[Any]:
    """Give all rows."""
    result = session.execute(statement, execution_profile=READS)
    rows = list(result.current_rows)
    while result.has_more_pages:
        result.fetch_next_page()
        rows += result.current_rows
    return rows


class _AsyncRead:
    """One statement, whose pages come to an event loop."""

    def __init__(self, session: Any, statement: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._page: asyncio.Future[list[Any]] = self._loop.create_future()
        self._request = session.execute_async(statement, execution_profile=READS)
        self._request.add_callbacks(self._on_page, self._on_error)

    async def all(self) -> list[Any]:
        """Give all rows."""
        rows = list(await self._page)
        while self._request.has_more_pages:
            self._page = self._loop.create_future()
            self._request.start_fetching_next_page()
            rows += await self._page
        return rows

    def _on_page(self, rows: list[Any]) -> None:
        self._tell(lambda page: page.set_result(rows))

    def _on_error(self, error: BaseException) -> None:
        self._tell(lambda page: page.set_exception(error))

    def _tell(self, what: Any) -> None:
        def tell(page: asyncio.Future[list[Any]]) -> None:
            if not page.done():
                what(page)

        with suppress(RuntimeError):  # the loop was closed: nobody waits
            self._loop.call_soon_threadsafe(tell, self._page)


async def aread_all(session: Any, statement: Any) -> list[Any]:
    """Do as `read_all`, in the running loop."""
    return await _AsyncRead(session, statement).all()
