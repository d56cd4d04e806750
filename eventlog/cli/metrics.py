"""Room: how a log stands, in the text format of Prometheus (exposition format 0.0.4).

Rules:
* A family is one HELP, one TYPE, and its samples, in one piece; the last line ends with a newline.
* All are gauges: what a count counts goes when a dead writer's folder does.
* Only what every process tells the same; what one has met itself (damage, incomplete reads) it logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from eventlog.cli.standing import Standing
from eventlog.status import BackendStatus

_STATES = ("ok", "retrying", "down")
_OF_BACKENDS = (
    ("lag_events", "lag_events", "Events that the backend does not have yet."),
    ("lag_bytes", "lag_bytes", "Bytes of the journal that the backend does not have yet."),
    ("oldest_age_seconds", "oldest_age_s", "Age of the oldest event in the journal that the backend does not have."),
    ("dead_letters", "dead_letters", "Events that the backend refused for good."),
    ("delivered_events", "delivered", "Events delivered, as far as their writers have a folder in the journal."),
    ("retries", "retries", "Failed attempts to deliver, as far as their writers have a folder in the journal."),
)

Labels = dict[str, str]
Samples = list[tuple[Labels, float]]


class Family(NamedTuple):
    """One metric: its name, what it means, its samples."""

    name: str
    meaning: str
    samples: Samples


def exposition(standing: Standing) -> str:
    """Give the text that a scrape reads."""
    return "".join(line for family in [*_of_backends(standing), *_of_journal(standing)] for line in _lines(family))


def _of_backends(standing: Standing) -> Iterator[Family]:
    backends = standing.status.backends
    yield Family("backend_info", "1, with the identity of the backend.", _infos(backends))
    yield Family("backend_state", "1 for the state that the backend is in, 0 for the others.", _states(backends))
    for name, attribute, meaning in _OF_BACKENDS:
        samples: Samples = [({"backend": each}, getattr(told, attribute)) for each, told in backends.items()]
        yield Family(name, meaning, samples)
    undelivered: Samples = [({"backend": each}, folders) for each, folders in standing.undelivered.items()]
    yield Family("undelivered_folders", "Folders with events for the backend that no process delivers.", undelivered)


def _infos(backends: dict[str, BackendStatus]) -> Samples:
    return [({"backend": name, "identity": backend.identity}, 1) for name, backend in backends.items()]


def _states(backends: dict[str, BackendStatus]) -> Samples:
    return [
        ({"backend": name, "state": state}, backend.state == state)
        for name, backend in backends.items()
        for state in _STATES
    ]


def _of_journal(standing: Standing) -> Iterator[Family]:
    status = standing.status
    for name, meaning, value in (
        ("journal_bytes", "Bytes of the journal's directory.", status.journal_bytes),
        ("journal_max_bytes", "Bytes at which adds wait, as this command was told.", standing.max_journal_bytes),
        ("journal_segments", "Segment files in the journal.", status.segments),
        ("other_journals", "Journals beside this one that hold something.", status.other_journals),
        ("sidecar", "1 while a sidecar serves the journal.", standing.sidecar),
        ("clock_drift_seconds", "How far the ids of events are ahead of this clock.", status.clock_drift_s),
    ):
        yield Family(name, meaning, [({}, value)])


def _lines(family: Family) -> Iterator[str]:
    name = f"eventlog_{family.name}"
    yield f"# HELP {name} {family.meaning}\n"
    yield f"# TYPE {name} gauge\n"
    for labels, value in family.samples:
        yield f"{name}{_labels(labels)} {float(value):.15g}\n"


def _labels(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    """Escape a label's value; bytes of a path that are no text are spelt out."""
    text = value.encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
