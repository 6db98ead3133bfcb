"""The server of a studio, and the browser that shows it."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from threading import Thread, Timer

import uvicorn

from melodyconstraints.errors import UsageError
from melodyconstraints.storage.files import check_writable
from melodyconstraints.studio.app import create_app
from melodyconstraints.studio.engine import Engine
from melodyconstraints.studio.places import LOOPBACK, Settings
from melodyconstraints.studio.security import TOKEN

_LOADING_DELAY_SECONDS = 3.0
"""Seconds after which models load even if no page has asked: the page is painted first."""
_FEWEST_TOKEN_CHARACTERS = 16


def check_settings(settings: Settings) -> None:
    """Refuse what would let strangers in, or a folder that cannot be written to.

    Raises:
        UsageError: an address other than loopback without a token, a token that is short or
            cannot stand in a cookie, or a folder that cannot be written.
    """
    if settings.host not in LOOPBACK and not settings.token:
        raise UsageError(
            f"--host {settings.host} lets other machines in; give a --token of at least "
            f"{_FEWEST_TOKEN_CHARACTERS} letters and digits as well"
        )
    token = settings.token
    plain = token is None or (token.isascii() and token.isalnum())
    if token is not None and not (plain and len(token) >= _FEWEST_TOKEN_CHARACTERS):
        raise UsageError(
            f"--token must be at least {_FEWEST_TOKEN_CHARACTERS} letters and digits, got "
            f"{len(token)} characters"
        )
    check_writable(settings.folder)


def serve(settings: Settings, *, open_page: bool, announce: Callable[[str], object]) -> None:
    """Serve until Ctrl-C.

    Args:
        settings: settings of the studio; port 0 takes any free one.
        open_page: whether to show the page in the browser.
        announce: called with the address of the page.

    Raises:
        UsageError: see :func:`check_settings`; or the port is taken.
    """
    check_settings(settings)
    listening = _listen(settings)
    settings = replace(settings, port=listening.getsockname()[1])
    engine = Engine()
    app = create_app(settings, engine)
    page = settings.address + (f"/?{TOKEN}={settings.token}" if settings.token else "/")

    def ready() -> None:
        announce(page)
        loading = Timer(_LOADING_DELAY_SECONDS, engine.start)
        loading.daemon = True
        loading.start()
        if open_page:
            Thread(target=webbrowser.open, args=[page], daemon=True).start()

    config = uvicorn.Config(
        app, log_level="warning", server_header=False, timeout_graceful_shutdown=1
    )
    _Server(config, ready, app.state.jobs.close).run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that says when it answers, and when it ends.

    Args:
        ready: called as soon as it answers.
        ending: called before it waits for its connections to close.
    """

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], object], ending: Callable[[], object]
    ) -> None:
        super().__init__(config)
        self._ready, self._ending = ready, ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams, then connections."""
        self._ending()
        await super().shutdown(sockets)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise UsageError(
            f"{settings.host}:{settings.port} cannot be listened at: {error.strerror}; choose "
            "another --port, or 0 for any"
        ) from error
    return listening
