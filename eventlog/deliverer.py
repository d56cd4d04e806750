"""Room: which folders this process delivers: its own, those of dead writers, or, as a sidecar, those of everybody.

Invariants:
* A folder is delivered by the process that holds its delivery lock. A free one of a dead writer is taken at the start,
  and then within `TICK_S`.
* While a sidecar lives that has all of a process's backends, the process hands its folders over; when the sidecar
  dies, it takes them back at its next tick. A second sidecar waits for the first one's lock.
* `deliver=False` never delivers.
"""

from __future__ import annotations

import logging
from threading import RLock

from eventlog.delivery import Delivery
from eventlog.directory import Directory, Folder
from eventlog.errors import ConfigurationError
from eventlog.journal import Journal
from eventlog.settings import Role
from eventlog.sidecar import SidecarLock

TICK_S = 0.5

logger = logging.getLogger("eventlog.delivery")


class Deliverer:
    """The folders that one process delivers, and its loops."""

    def __init__(self, directory: Directory, deliveries: dict[str, Delivery], role: Role) -> None:
        """Refuse a set of backends that lacks one which events of dead writers wait for."""
        self._directory, self.deliveries, self._role = directory, deliveries, role
        self._sidecar = SidecarLock(directory.root)
        self._lock = RLock()
        self._own: tuple[Folder, Journal] | None = None
        self._adopted: dict[str, Folder] = {}
        self._refuse_missing_backends()

    def _refuse_missing_backends(self) -> None:
        for folder in self._directory.folders():
            if folder.alive:
                continue
            for key, identity in folder.backends().items():
                if key not in self.deliveries and not folder.is_delivered(key):
                    raise ConfigurationError(
                        f"expected the backend {identity} among those opened, for events in {folder.path} wait for it; "
                        "open it too, or see --rebind and --forget in: eventlog drain --help"
                    )

    @property
    def serving(self) -> bool:
        """Tell whether this process delivers now."""
        if self._role == "sidecar":
            return self._sidecar.held
        return self._role == "process" and not self._sidecar.serves(self.deliveries)

    @property
    def served(self) -> frozenset[str]:
        """Name the folders of other writers that this process delivers."""
        with self._lock:
            return frozenset(self._adopted)

    def start(self) -> None:
        """Take over what is there and begin to deliver."""
        if self._role == "none":
            return
        self.tick()
        for delivery in self.deliveries.values():
            delivery.start()

    def serve(self, folder: Folder, journal: Journal) -> None:
        """Deliver this process's own folder too, if its delivery lock is held."""
        with self._lock:
            self._own = folder, journal
            if folder.delivery_lock.held:
                self._add(folder, journal)

    def tick(self) -> None:
        """Look who is alive: adopt, hand over, take back, remove what is done."""
        with self._lock:
            if self._role == "sidecar" and not self._sidecar.held:
                self._sidecar.acquire(self.deliveries)
            if self.serving:
                self._take_back()
                self.adopt()
            else:
                self._hand_over()
            self.collect()

    def adopt(self) -> None:
        """Take over folders that nobody delivers: of dead writers, as a sidecar of living ones too."""
        with self._lock:
            if not self.serving:
                return
            for folder in self._directory.folders():
                if self._may_adopt(folder) and folder.delivery_lock.acquire():
                    self._adopted[folder.path.name] = folder
                    self._add(folder, None)

    def _may_adopt(self, folder: Folder) -> bool:
        name = folder.path.name
        if name in self._adopted or (self._own and name == self._own[0].path.name):
            return False
        if self._role != "sidecar" and folder.alive:
            return False
        return folder.backends().keys() <= self.deliveries.keys()

    def _add(self, folder: Folder, own: Journal | None) -> None:
        for key in folder.backends():
            self.deliveries[key].add_source(folder, own)

    def _drop(self, folder: Folder) -> None:
        for delivery in self.deliveries.values():
            delivery.drop_source(folder.path.name)
        folder.delivery_lock.close()

    def _hand_over(self) -> None:
        if self._own is not None and self._own[0].delivery_lock.held:
            logger.warning("a sidecar delivers from %s now", self._directory.root)
            self._drop(self._own[0])
        for name in list(self._adopted):
            self._drop(self._adopted.pop(name))

    def _take_back(self) -> None:
        if self._own is None or self._role != "process" or self._own[0].delivery_lock.held:
            return
        if self._own[0].delivery_lock.acquire():
            logger.warning("this process delivers from %s again", self._own[0].path)
            self._add(*self._own)

    def collect(self) -> None:
        """Remove what every backend has, in the folders whose delivery lock is held."""
        with self._lock:
            if self._own is not None and self._own[0].delivery_lock.held:
                self._directory.collect(self._own[0])
            for name, folder in list(self._adopted.items()):
                self._directory.collect(folder)
                if self._directory.remove_if_done(folder):
                    self._drop(self._adopted.pop(name))

    def stop(self) -> None:
        """End the loops and let go of the folders of others."""
        for delivery in self.deliveries.values():
            delivery.stop()
        self.collect()
        self.let_go()
        self._sidecar.release()

    def let_go(self) -> None:
        """Close the locks of adopted folders; in a forked child they stay the parent's."""
        for folder in self._adopted.values():
            folder.release()
        self._sidecar.close()
