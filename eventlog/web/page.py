"""Room: the pages' HTML, served or as one file.

Rules:
* The page of a session is the same either way: the file carries the scripts, the style and the data that a server
  would send, and asks for nothing.
* Data stand in scripts of type application/json, with every `<` escaped: nothing of them is markup.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from typing import Any

from eventlog.replaying import Replay
from eventlog.web import payload

STATIC = files("eventlog.web") / "static"
SCRIPTS = {
    "sessions": ("base.js", "sessions.js"),
    "session": ("base.js", "moments.js", "list.js", "rows.js", "session.js"),
    "health": ("base.js", "health.js"),
}
STYLE = "page.css"
_TITLES = {"sessions": "Sessions", "session": "Session", "health": "Health"}


def static(name: str) -> str:
    """Give the text of a file that the package brings."""
    return (STATIC / name).read_text("utf-8")


def served(name: str) -> str:
    """Give a page that asks this server for the rest."""
    scripts = "".join(f'<script src="/static/{script}" defer></script>\n' for script in SCRIPTS[name])
    head = f'<link rel="icon" href="/static/icon.svg">\n<link rel="stylesheet" href="/static/{STYLE}">\n{scripts}'
    return f"{_begin(_TITLES[name], head, name)}{_END}"


def one_file(session: str, replay: Replay) -> Iterator[str]:
    """Give the page of a session with all that it needs, piece by piece."""
    style, script = static(STYLE), "\n".join(static(name) for name in SCRIPTS["session"])
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>\n'
    yield _begin(session, meta, "session")
    yield _data("outline", {"session": session, **_outline(replay)})
    for start in range(0, len(replay), payload.PIECE_EVENTS):
        found = replay.entries(start, start + payload.PIECE_EVENTS)
        yield _data(f"piece-{start // payload.PIECE_EVENTS}", payload.entries(found, clip_chars=1 << 30))
    yield f"<script>{script}</script>\n{_END}"


def _outline(replay: Replay) -> dict[str, Any]:
    found = payload.outline(replay.lives, replay.summary())
    return {**found, "stamp": "file", "source": replay.source, "complete": replay.complete}


def _begin(title: str, head: str, name: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{html.escape(title)} · eventlog</title>\n{head}</head>\n<body data-page="{name}">\n'
        "<noscript>This page needs JavaScript; it loads nothing from elsewhere.</noscript>\n"
    )


_END = "</body>\n</html>\n"


def _data(name: str, value: Any) -> str:
    text = payload.encode(value).decode().replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode()
