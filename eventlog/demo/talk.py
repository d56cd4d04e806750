"""Room: conversations for the demo, made up from a seed: the same seed, the same talk, without end."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

_NAMES = ("Ada", "Bela", "Chioma", "Dimitri", "Esra", "Farid", "Greta", "Hana", "Ilse", "Jun", "Kofi", "Lucía")
_THINGS = ("a blue bicycle", "a cello", "a tent for three", "a telescope", "a box of seeds", "a sewing machine")
_PLACES = ("the lake station", "the old mill", "Harbour Street", "the north gate", "the library", "platform 4")
_DAYS = ("on Monday", "on Tuesday", "tomorrow", "at the weekend", "next Friday", "this evening")
_ASKS = (
    "Is {thing} still free {day}?",
    "I left {thing} at {place}. Has anybody found it?",
    "Can {name} bring {thing} to {place} {day}?",
    "How do I get to {place} {day}? It is {name}'s first time there.",
    "Please keep {thing} for {name} until {day}.",
)
_ANSWERS = (
    "Yes: {thing} is there {day}. Shall I put it down for {name}?",
    "I have written that down for {name}, {place}, {day}.",
    "Nobody has said so yet. I will ask at {place} {day} and tell you.",
    "The tram goes to {place} every ten minutes; {name} can get off at the last stop.",
)
_THANKS = ("Thank you, that helps.", "Good. And one thing more.", "Perfect, {name} will be glad.", "No, rather {day}.")


def conversation(seed: str) -> Iterator[dict[str, Any]]:
    """Give the messages of one conversation, in the shape of the chat APIs, for as long as they are asked for."""
    dice = Random(seed)  # noqa: S311 (small talk, not secrets)
    while True:
        fills = {"name": _NAMES, "thing": _THINGS, "place": _PLACES, "day": _DAYS}
        said = {key: dice.choice(values) for key, values in fills.items()}
        yield {"role": "user", "content": dice.choice(_ASKS).format(**said)}
        yield from _looked_up(said, f"call_{dice.randrange(10**6):06d}")
        yield {"role": "assistant", "content": dice.choice(_ANSWERS).format(**said)}
        yield {"role": "user", "content": dice.choice(_THANKS).format(**said)}


def _looked_up(said: dict[str, str], call: str) -> Iterator[dict[str, Any]]:
    arguments = {"what": said["thing"], "where": said["place"]}
    yield {"role": "assistant", "content": "", "tool_calls": [{"name": "look_up", "args": arguments, "id": call}]}
    yield {"role": "tool", "content": f"{said['thing']}: {said['place']}, {said['day']}", "tool_call_id": call}
