"""Settings of a studio: where it keeps its files, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from melodyconstraints.storage.places import data_root

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """Settings of one studio.

    Args:
        folder: folder of history, jobs, trained actors and rules.
        save_to: folder in which *Save to folder* writes MIDI files.
        host: address that the server listens at; other than loopback only with a token.
        port: port that the server listens at.
        token: secret that every request must bring; None on loopback.
        allow_code: whether Python rules of the page are run.
    """

    folder: Path
    save_to: Path
    host: str = LOOPBACK[0]
    port: int = 8127
    token: str | None = None
    allow_code: bool = False

    @property
    def actors(self) -> Path:
        """Folder of trained actors, each named by a digest of what it was trained for."""
        return self.folder / "actors"

    @property
    def rules(self) -> Path:
        """Folder of Python rules, each named by a digest of its text."""
        return self.folder / "rules"

    @property
    def address(self) -> str:
        """``http://127.0.0.1:8127``."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.port}"


def default_folder() -> Path:
    """The user's own folder for a studio, which need not exist."""
    return data_root() / "studio"
