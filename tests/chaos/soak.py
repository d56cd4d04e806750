"""Row 11: a steady load for a long time, faults now and then; memory, threads, files and journal stay flat.

Judged is what is used in the last third against the third before it, the first minute left out where there is more than
that. The control's process keeps a copy of what it adds.
"""

from __future__ import annotations

from statistics import median
from time import monotonic

from eventlog.demo.server import HOST
from tests.chaos.load import Usage, writing
from tests.chaos.outages import OUTAGES, compared, mend
from tests.chaos.promises import Figures, Trial, kept
from tests.servers.proxy import Proxy
from tests.servers.redis_server import make_redis

STEP_S = 1.0
FAULT_SHARE = 0.2
SETTLING_S = 60
GROWTH_MAX_KIB_A_S = 40.0
"""A page here and there is the interpreter's; 2,000 leaked messages a second would be 600."""
JOURNAL_KIB_MAX = 128 * 1024


def soak(trial: Trial) -> Figures:
    """So many seconds."""
    figures = _soaked(trial, leaks=False)
    names = ("lost", "doubled", "disordered", "refused", "stuck")
    return kept(
        figures, *names, *(("memory_grew", "threads_grew", "files_grew", "journal_grew") if trial.judged else ())
    )


def leaks(trial: Trial) -> Figures:
    """The control."""
    return kept(_soaked(trial, leaks=True), "memory_grew")


def _soaked(trial: Trial, *, leaks: bool) -> Figures:
    chance, began, used, faults = trial.chance, monotonic(), [], 0
    with make_redis(durable=True) as server, Proxy((HOST, server.port)) as proxy:
        with writing(f"redis://{HOST}:{proxy.port}/0", trial.place, leaks=leaks) as load:
            while monotonic() - began < trial.n:
                outage = chance.choice(OUTAGES) if chance.random() < FAULT_SHARE and not leaks else None
                if outage is not None:
                    outage(server, proxy)
                    faults += 1
                load.do("add", STEP_S)
                if outage is not None:
                    mend(server, proxy, outage)
                used.append(load.do("usage"))
            drained = load.do("drain", "redis")
            taken, refused = load.do("acknowledged")
        found = compared(server, trial.place, taken)
    figures = {"seconds": round(monotonic() - began), "faults": faults, "refused": refused, "stuck": not drained.done}
    return {**figures, **found, **_growth(used)}


def _growth(used: list[Usage]) -> Figures:
    settled = used[SETTLING_S:] if len(used) > 1.5 * SETTLING_S else used
    third = max(1, len(settled) // 3)
    before, after = settled[-2 * third : -third] or settled, settled[-third:]
    rise = (median(usage.memory_kib for usage in after) - median(usage.memory_kib for usage in before)) / third
    return {
        "memory_mib": round(after[-1].memory_kib / 1024, 1),
        "memory_growth_kib_a_s": round(rise, 1),
        "memory_grew": int(rise > GROWTH_MAX_KIB_A_S),
        "threads": after[-1].threads,
        "threads_grew": int(max(usage.threads for usage in after) > max(usage.threads for usage in before) + 1),
        "files": after[-1].files,
        "files_grew": int(max(usage.files for usage in after) > max(usage.files for usage in before) + 4),
        "journal_mib_max": round(max(usage.journal_kib for usage in settled) / 1024, 1),
        "journal_grew": int(max(usage.journal_kib for usage in settled) > JOURNAL_KIB_MAX),
    }
