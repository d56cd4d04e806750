"""Room: which node of a cluster serves a session, and how commands find it while that changes.

Invariants:
* A redirected command is sent where it was told to, alone: a session whose keys are moving is on two nodes at once.
* A node that fails takes only its own slots along. What was sent there is sent again when the others name another
  owner: everything we send is harmless twice.
* The table is a hint. What a node says of a slot (MOVED) outweighs it; whoever fails or redirects has it read anew.
* No I/O here: the steps say what to send where; two drivers run them (redis_clients.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

from redis import exceptions

from eventlog.adapters.redis_keys import SLOTS, slot_of
from eventlog.adapters.redis_places import Address
from eventlog.adapters.redis_wire import pack
from eventlog.adapters.redis_words import code, redirection

HOPS_MAX = 8
REFRESH_S = 2.0
REST_FIRST_S, REST_MAX_S = 5.0, 30.0
ASKING = pack(b"ASKING")
QUESTIONS = [pack(b"CLUSTER", b"SLOTS"), pack(b"CLUSTER", b"INFO")]
_UNKNOWN_HOSTS = (None, b"", "")

Sends = dict[Address, list[bytes]]
Heard = Mapping[Address, list[Any] | Exception]
Steps = Generator[Sends, Heard, None]
"""Yields what to send to which node and gets the replies, or what came instead."""


class Table:
    """The owner of each slot, as far as is known."""

    def __init__(self, seeds: Sequence[Address], remap: Callable[[Address], Address] | None) -> None:
        """Know nothing yet but whom to ask."""
        self._seeds, self._remap = seeds, remap
        self._known: list[Address] = list(seeds)
        self._rests: dict[Address, tuple[float, float]] = {}
        self._owners: list[Address | None] = [None] * SLOTS
        self.version = 0
        self.serves = True
        """Whether the node that was asked last says that the cluster as a whole takes commands."""

    @property
    def primaries(self) -> set[Address]:
        """The nodes that own a slot."""
        return {owner for owner in self._owners if owner is not None}

    @property
    def known(self) -> set[Address]:
        """The nodes that there are, replicas and seeds included."""
        return set(self._known)

    def owner(self, slot: int) -> Address | None:
        """Give the node that serves a slot."""
        return self._owners[slot]

    def move(self, slot: int, address: Address) -> None:
        """Take a node's word for who serves a slot."""
        self._owners[slot] = address

    def distrust(self, address: Address) -> None:
        """Ask a node that failed after the others."""
        if address in self._known:
            self._known = [*(known for known in self._known if known != address), address]

    def rests(self, address: Address) -> bool:
        """Tell whether a node that did not answer in time is to be left alone, so that it slows down nobody else."""
        return monotonic() < self._rests.get(address, (0.0, 0.0))[0]

    def timed_out(self, address: Address) -> None:
        """Leave a node alone for a while, for longer each time."""
        pause_s = min(REST_MAX_S, 2 * self._rests.get(address, (0.0, REST_FIRST_S / 2))[1])
        self._rests[address] = monotonic() + pause_s, pause_s

    def answered(self, address: Address) -> None:
        """Go on with a node."""
        self._rests.pop(address, None)

    def refresh(self, seen: int) -> Steps:
        """Read the table anew, unless that happened since version `seen`; raises when no node answers."""
        deadline = monotonic() + REFRESH_S
        answers: list[tuple[Address, Any, bool]] = []
        failure: Exception = exceptions.ClusterError("no node to ask")
        for address in self._known if self.version == seen else ():
            heard = yield {address: QUESTIONS}
            try:
                slots, info = _answered(heard[address])
                answers.append((address, slots, "cluster_state:fail" not in _text(info)))
            except (exceptions.RedisError, OSError) as error:
                failure = error
                self.distrust(address)
            if (answers and answers[-1][2]) or monotonic() > deadline:
                break
        if answers:
            self._take(*answers[-1])
        elif self.version == seen:
            raise failure

    def _take(self, asked: Address, slots: Sequence[Any], serves: bool) -> None:  # noqa: FBT001 (as it was gathered)
        owners: list[Address | None] = [None] * SLOTS
        known = []
        for first, last, *nodes in slots:
            addresses = [self.place(node[0], node[1], asked) for node in nodes]
            owners[first : last + 1] = addresses[:1] * (last + 1 - first)
            known += addresses
        self._known = list(dict.fromkeys([asked, *known, *self._seeds]))
        self._rests = {address: rest for address, rest in self._rests.items() if address in self._known}
        self._owners, self.serves = owners, serves
        self.version += 1

    def place(self, host: Any, port: int, told_by: Address) -> Address:
        """Give the address that a node told; it may leave out a host that is its own."""
        found = (told_by[0] if host in _UNKNOWN_HOSTS else _text(host), int(port))
        return self._remap(found) if self._remap else found


class Errand:
    """Commands of sessions, until each has its reply."""

    def __init__(self, table: Table, owners: Sequence[str], commands: Sequence[bytes]) -> None:
        """Begin with all of them."""
        self._table, self._commands = table, commands
        self._slots = [slot_of(owner) for owner in owners]
        self._left: dict[int, Address | None] = dict.fromkeys(range(len(commands)))
        self._lost: dict[int, Address | None] = {}
        self._moved: dict[int, Address] = {}
        self._sent: dict[Address, list[int | None]] = {}
        self.replies: list[Any] = [None] * len(commands)
        self._failed: set[Address] = set()
        self._refreshed = False

    def steps(self) -> Steps:
        """Walk from node to node."""
        if not self._table.version:
            yield from self._table.refresh(0)
        for _ in range(HOPS_MAX):
            seen = self._table.version
            self._hear((yield self._sends()))
            if self._lost or self._moved:
                yield from self._table.refresh(seen)
                self._refreshed = True
                self._reroute()
            if not self._left:
                return

    def result(self) -> list[Any]:
        """Give the replies; raises where it is not a part of the cluster that fails but all of it."""
        failures = [reply for reply in self.replies if isinstance(reply, Exception)]
        if failures and ((self._refreshed and not self._table.serves) or self._failed >= self._table.primaries):
            raise next((failure for failure in failures if code(failure) == "CLUSTERDOWN"), failures[0])
        return self.replies

    def _sends(self) -> Sends:
        sends: Sends = {}
        self._sent = {}
        for index, asked in self._left.items():
            address = asked or self._table.owner(self._slots[index])
            if address is None:
                self._lose(index, None, exceptions.ClusterDownError("CLUSTERDOWN no node serves the slot"))
            elif self._table.rests(address):
                self._lose(index, address, exceptions.TimeoutError(f"{address[0]}:{address[1]} did not answer lately"))
            else:
                self._sent.setdefault(address, []).extend([None, index] if asked else [index])
                command = self._commands[index]
                sends.setdefault(address, []).extend([ASKING, command] if asked else [command])
        self._left = {}
        return sends

    def _hear(self, heard: Heard) -> None:
        for address, numbers in self._sent.items():
            answer = heard[address]
            if isinstance(answer, exceptions.TimeoutError):
                self._table.timed_out(address)
            elif not isinstance(answer, Exception):
                self._table.answered(address)
            replies = [answer] * len(numbers) if isinstance(answer, Exception) else answer
            self._note(address, zip(numbers, replies, strict=True))

    def _note(self, address: Address, replies: Iterable[tuple[int | None, Any]]) -> None:
        for index, reply in replies:
            if index is None:
                continue
            if isinstance(reply, Exception):
                self._refused(index, address, reply)
            else:
                self.replies[index] = reply

    def _refused(self, index: int, address: Address, error: Exception) -> None:
        self.replies[index] = error
        if not isinstance(error, exceptions.ResponseError) or code(error) == "CLUSTERDOWN":
            self._lose(index, address, error)
        elif told := redirection(error):
            self._redirected(index, told[0], self._table.place(*told[1:], address))
        elif code(error) != "WRONGTYPE":
            self._failed.add(address)

    def _redirected(self, index: int, word: str, address: Address) -> None:
        self._left[index] = address if word == "ASK" else None
        if word == "MOVED":
            self._moved[self._slots[index]] = address

    def _lose(self, index: int, address: Address | None, error: Exception) -> None:
        self.replies[index] = error
        self._lost[index] = address
        if address is not None:
            self._failed.add(address)
            self._table.distrust(address)

    def _reroute(self) -> None:
        for slot, address in self._moved.items():
            self._table.move(slot, address)
        for index, lost_at in self._lost.items():
            owner = self._table.owner(self._slots[index])
            if owner not in (None, lost_at):
                self._left[index] = None
        self._lost, self._moved = {}, {}


def _answered(answer: list[Any] | Exception) -> list[Any]:
    """Give the slots and the state that a node told, if it told any."""
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer[0], Exception):
        raise answer[0]
    if not answer[0]:
        raise exceptions.ClusterError("a node that serves no slot and knows none that does")
    return answer


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
