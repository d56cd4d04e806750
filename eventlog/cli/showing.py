"""Room: what a terminal shows of messages, a status, and a wait.

Rules:
* Text that somebody else wrote cannot act on the terminal: control and bidirectional characters are shown as escapes,
  and nothing of it is read as markup.
* Where the output is no terminal, no line is cut or wrapped.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventlog.projections.speech import Speech, ToolCall, speech
from eventlog.status import BackendStatus, Status

_WIDTH_WITHOUT_TERMINAL = 1 << 16
_ACTING = r"\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_UNSAFE_IN_TEXT = re.compile(rf"[\x00-\x08\x0b-\x1f{_ACTING}]")
_UNSAFE_IN_LINE = re.compile(rf"[\x00-\x1f{_ACTING}]")
_STYLES = {"user": "green", "human": "green", "assistant": "cyan", "ai": "cyan", "tool": "yellow", "system": "magenta"}
_STATE_STYLES = {"ok": "green", "retrying": "yellow", "down": "red"}


def escaped(text: str) -> str:
    """Make text of several lines safe to print."""
    return _UNSAFE_IN_TEXT.sub(_as_escape, text)


def one_line(text: str) -> str:
    """Make text safe to print on one line."""
    return _UNSAFE_IN_LINE.sub(_as_escape, text)


def _as_escape(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"  # noqa: PLR2004 (the range of \x)


def as_json(value: Any) -> str:
    """Give a value as one line of JSON that is safe to print and means the same."""
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return _UNSAFE_IN_LINE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def console() -> Console:
    """Give a console that wraps at a terminal's width and nowhere else."""
    terminal = sys.stdout.isatty()
    width = None if terminal else _WIDTH_WITHOUT_TERMINAL
    return Console(highlight=False, markup=False, emoji=False, width=width, soft_wrap=not terminal)


# messages


def show_messages(messages: Iterable[Any], to: Console) -> None:
    """Print who said what, aligned; tool calls as calls."""
    said = [speech(message) for message in messages]
    shown = [(one_line(each.role), "\n".join(lines(each))) for each in said]
    width = max((len(role) for role, _ in shown), default=0)
    for role, text in shown:
        to.print(_row(role, text, width) if to.is_terminal else _plain(role, text, width))


def _row(role: str, text: str, width: int) -> Table:
    row = Table.grid(padding=(0, 2), pad_edge=False)
    row.add_column(width=width, no_wrap=True)
    row.add_row(Text(role, style=role_style(role)), Text(text))
    return row


def _plain(role: str, text: str, width: int) -> str:
    return f"{role:<{width}}  " + text.replace("\n", "\n" + " " * (width + 2))


def role_style(role: str) -> str:
    """Give the colour of a role."""
    return _STYLES.get(role, "bold")


def lines(said: Speech) -> list[str]:
    """Give what was said, and the tools that were called, as lines that are safe to print."""
    text = escaped(said.text).splitlines() if said.text else []
    return text + [_call(call) for call in said.tool_calls] or [""]


def _call(call: ToolCall) -> str:
    if not call.name:
        return as_json(call.arguments)
    if isinstance(call.arguments, Mapping):
        said = ", ".join(f"{one_line(str(name))}={as_json(value)}" for name, value in call.arguments.items())
    else:
        said = one_line(str(call.arguments))
    return f"→ {one_line(call.name)}({said})"


# status


def show_status(status: Status, to: Console) -> None:
    """Print a block for each backend, then one for the journal."""
    for name, backend in status.backends.items():
        _show_block(name, _backend_rows(backend), to, _STATE_STYLES[backend.state])
    _show_block("journal", _journal_rows(status), to)


def _show_block(title: str, rows: Mapping[str, str], to: Console, style: str = "") -> None:
    to.print(Text(title, style="bold"))
    for name, value in rows.items():
        to.print(Text.assemble((f"  {name:<14}  ", "dim"), (one_line(value), style if name == "state" else "")))


def show_fields(fields: Mapping[str, str], to: Console) -> None:
    """Print names and values, aligned."""
    width = max(map(len, fields))
    for name, value in fields.items():
        to.print(Text.assemble((f"{name:<{width}}  ", "dim"), one_line(value)))


def _backend_rows(backend: BackendStatus) -> dict[str, str]:
    return {
        "identity": backend.identity,
        "state": backend.state,
        "pending": lag(backend),
        "delivered": f"{counted(backend.delivered, 'event')}, {counted(backend.retries, 'retry', 'retries')}",
        "dead letters": f"{backend.dead_letters:,}",
        "last error": backend.last_error or "none",
        **({"note": backend.note} if backend.note else {}),
    }


def _journal_rows(status: Status) -> dict[str, str]:
    return {
        "place": status.journal,
        "size": f"{size(status.journal_bytes)} in {counted(status.segments, 'segment')}",
        "clock drift": f"{status.clock_drift_s:.3f} s",
        "damage": f"{counted(status.damaged_frames, 'frame')}, {counted(status.torn_tails, 'torn tail')}, "
        f"{counted(status.quarantined, 'body', 'bodies')} that cannot be read",
        "other journals": f"{status.other_journals:,} beside it hold something",
    }


def lag(backend: BackendStatus) -> str:
    """Tell what a backend still lacks."""
    if not backend.lag_events:
        return "nothing"
    events = counted(backend.lag_events, "event")
    if not backend.lag_bytes:
        return f"{events}, set aside"
    return f"{events}, {size(backend.lag_bytes)}, the oldest {backend.oldest_age_s:,.1f} s old"


def counted(number: int, one: str, more: str = "") -> str:
    """Give a number with its noun."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def size(number: int) -> str:
    """Give a number of bytes for a person."""
    value, units = float(number), ["B", "KiB", "MiB", "GiB"]
    while value >= 1024 and units[1:]:  # noqa: PLR2004 (one unit to the next)
        value, units = value / 1024, units[1:]
    return f"{value:,.0f} {units[0]}" if units[0] == "B" else f"{value:,.1f} {units[0]}"
