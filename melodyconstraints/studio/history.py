"""The history of a studio: every state that the page showed, a file each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from threading import Lock

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.files import write_atomically
from melodyconstraints.studio.schemas import Answer, State

MOST_STATES, MOST_LISTED = 500, 60
"""States that are kept, and those of them that a strip shows: the newest."""
_POSITION = "position.json"
_NUMBER = re.compile(r"[0-9]{6,12}", re.ASCII)


class History:
    """States in a folder, numbered from 1; each knows the one it came from.

    Args:
        folder: folder of the states, made when the first one is added.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        self._states = _read(folder)

    def summary(self) -> Answer:
        """The number of the state that is shown, and of each state what a strip needs."""
        states = [
            {
                "number": number,
                "parent": state.parent,
                "title": state.title,
                "seed": state.seed,
                "starred": bool(state.starred),
                "notes": state.melodies[min(state.current, len(state.melodies) - 1)].notes,
            }
            for number, state in list(self._states.items())[-MOST_LISTED:]
        ]
        return {"position": self._position(), "states": states}

    def get(self, number: int) -> State:
        """One state.

        Raises:
            UsageError: there is none of that number.
        """
        if number not in self._states:
            raise UsageError(f"there is no state {number} in the history")
        return self._states[number]

    def add(self, state: State) -> int:
        """Add a state, and show it; returns its number."""
        with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True)
            number = max(self._states, default=0) + 1
            self._write(number, state)
            for old in sorted(self._states)[:-MOST_STATES]:
                del self._states[old]
                self._file(old).unlink(missing_ok=True)
        self.show(number)
        return number

    def replace(self, number: int, state: State) -> None:
        """Change a state: another melody chosen, a star, a tempo."""
        self.get(number)
        with self._lock:
            self._write(number, state)

    def show(self, number: int) -> None:
        """Make a state the one that a reload shows."""
        self.get(number)
        data = json.dumps({"number": number}).encode()
        write_atomically(self._folder / _POSITION, data, durable=False)

    def _write(self, number: int, state: State) -> None:
        write_atomically(self._file(number), state.model_dump_json().encode(), durable=False)
        self._states[number] = state

    def _position(self) -> int | None:
        try:
            number = json.loads((self._folder / _POSITION).read_bytes())["number"]
        except (OSError, ValueError, KeyError, TypeError):
            number = None
        return number if number in self._states else max(self._states, default=None)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.json"


def _read(folder: Path) -> dict[int, State]:
    """States of a folder by number; files that hold no state of this version are passed over."""
    states = {}
    for path in sorted(folder.glob("[0-9]*.json")):
        if not _NUMBER.fullmatch(path.stem):  # a copy that a file manager made, say
            continue
        try:
            states[int(path.stem)] = State.model_validate_json(path.read_bytes())
        except (OSError, ValueError):
            continue
    return states
