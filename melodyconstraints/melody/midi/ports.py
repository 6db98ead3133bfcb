"""MIDI ports of instruments and other programs, by pylibremidi; all else knows :class:`Port`.

The backend is an extra (``pip install 'melodyconstraints[live]'``). Callbacks of its inputs must
not raise, which would end the process: they run in a thread of ours, where no signal arrives. Of
a message that comes in, version 5.4 gives single bytes only (its spans of raw data dangle, its
``bytes`` do not convert); a clock needs the first.
"""

from __future__ import annotations

import ctypes
import difflib
import importlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any, NamedTuple, Protocol

from melodyconstraints.errors import PortError, UsageError

OWN_NAME = "melodyconstraints"
"""Name of our end of a connection, as other programs show it."""
_BACKEND = "pylibremidi"
_FALLBACKS = ("PIPEWIRE", "JACK_MIDI")
"""Systems that have MIDI ports where the usual one of the platform is missing."""
_POLL_SECONDS = 0.0005
"""Pause between two looks for input: what a clock's pulse may come late by."""
_JACK = "libjack.so.0"
"""JACK's library on Linux, which speaks with the server of its own version only."""
_DRAIN_SECONDS = 0.05
"""Seconds before a port is closed, in which a system such as JACK takes the last messages."""
REMEDY = "start or connect an instrument, or make a port with --virtual (not on Windows)"
_SYSTEMS = "that needs ALSA's sequencer, PipeWire or JACK on Linux, and Windows has none"


class Port(Protocol):
    """A place that MIDI messages go to."""

    def send(self, message: bytes) -> None:
        """Send one whole message at once."""

    def close(self) -> None:
        """Give the port back."""


class PortNames(NamedTuple):
    """Names of the ports that are there.

    Args:
        outputs: names of ports that play.
        inputs: names of ports that send, such as a clock.
    """

    outputs: list[str]
    inputs: list[str]


def port_names() -> PortNames:
    """Names of all ports of instruments and other programs.

    Raises:
        PortError: there is no backend, or no MIDI on this machine.
    """
    with _system() as (backend, api):
        observer = _observer(backend, api)
        outputs, inputs = observer.get_output_ports(), observer.get_input_ports()
        return PortNames(_names(outputs), _names(inputs))


def open_output(name: str, *, virtual: bool = False) -> Port:
    """Open a port to play on.

    Args:
        name: name of a port, or a part of it that no other has; of a virtual one, any.
        virtual: whether to make the port, so that other programs can connect to it.

    Raises:
        PortError: there is no backend, no port, or the port does not open.
        UsageError: no port of this name, or several.
    """
    with _system() as (backend, api):
        output = backend.MidiOut(backend.OutputConfiguration(), api)
        if virtual:
            if error := output.open_virtual_port(name):
                raise PortError(f"no virtual MIDI port can be made: {error}; {_SYSTEMS}")
        else:
            ports = _observer(backend, api).get_output_ports()
            port = ports[chosen(name, _names(ports))]
            _require(output.open_port(port, OWN_NAME), name)
    return _Output(output, name)


def open_input(name: str, receive: Callable[[float, int], object]) -> Input:
    """Listen to a port.

    Args:
        name: name of a port, or a part of it that no other has.
        receive: called in another thread with the time of ``time.perf_counter`` and the status
            byte of a message.

    Raises:
        PortError: there is no backend, no port, or the port does not open.
        UsageError: no port of this name, or several.
    """
    with _system() as (backend, api):
        settings = backend.InputConfiguration()
        settings.ignore_timing = False
        settings.on_message = lambda message: receive(time.perf_counter(), message[0])
        device = backend.MidiIn(settings, api)
        ports = _observer(backend, api).get_input_ports()
        port = ports[chosen(name, _names(ports))]
        _require(device.open_port(port, OWN_NAME), name)
    return Input(device)


def chosen(name: str, names: Sequence[str]) -> int:
    """Index of the port that a name means: the whole name, else a part of only one.

    Raises:
        PortError: there are no ports.
        UsageError: no port, or several, of this name.
    """
    if not names:
        raise PortError(f"there is no MIDI port {name!r}, nor any other; {REMEDY}")
    if name in names:
        return names.index(name)
    low = name.casefold()
    meant = [index for index, one in enumerate(names) if low in one.casefold()]
    if len(meant) == 1:
        return meant[0]
    what = f"several MIDI ports have {name!r} in their names" if meant else f"no port {name!r}"
    listed = [names[index] for index in meant] or _nearest_first(name, names)
    raise UsageError(f"{what}; choose from: {', '.join(map(repr, listed))}")


class Input:
    """An open input, whose messages a thread takes in."""

    def __init__(self, device: Any) -> None:
        self._device, self._closed = device, Event()
        self._thread = Thread(target=self._listen, name="MIDI input", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._closed.wait(_POLL_SECONDS):
            self._device.poll()

    def close(self) -> None:
        """Stop listening and give the port back."""
        self._closed.set()
        self._thread.join()
        self._device.close_port()


class _Output:
    """A backend's output as a :class:`Port`."""

    def __init__(self, device: Any, name: str) -> None:
        self._device, self._name = device, name

    def send(self, message: bytes) -> None:
        _require(self._device.send_message(list(message)), self._name)

    def close(self) -> None:
        try:
            time.sleep(_DRAIN_SECONDS)
        finally:
            self._device.close_port()


@contextmanager
def _system() -> Iterator[tuple[Any, Any]]:
    """The backend and its name for this machine's MIDI, whose libraries print nothing."""
    with suppress(OSError):  # the backend's wheel has a library of JACK, of an older version
        ctypes.CDLL(_JACK, mode=ctypes.RTLD_GLOBAL)
    try:
        backend = importlib.import_module(_BACKEND)
    except ImportError as error:
        raise PortError(
            f"MIDI ports need {_BACKEND}, which is not installed ({error}); "
            "install it with: pip install 'melodyconstraints[live]'"
        ) from error
    with _silent_libraries():
        available = backend.available_apis()
        wanted = [backend.midi1_default_api(), *(getattr(backend.API, n) for n in _FALLBACKS)]
        api = next((one for one in wanted if one in available), None)
        if api is None:
            raise PortError("no system of MIDI ports runs here (ALSA, PipeWire or JACK)")
        yield backend, api


@contextmanager
def _silent_libraries() -> Iterator[None]:
    """Send what C libraries print on stderr, such as JACK of a missing server, nowhere."""
    saved_fd = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 (no path but the system's)
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved_fd, 2)
        os.close(saved_fd)


def _observer(backend: Any, api: Any) -> Any:
    return backend.Observer(backend.ObserverConfiguration(), api)


def _names(ports: Sequence[Any]) -> list[str]:
    """Names that a user sees: of the device, where it is known, and of the port."""
    return [port.display_name or port.port_name for port in ports]


def _require(error: Any, name: str) -> None:
    """Raise what the backend returns as an error."""
    if error:
        raise PortError(f"MIDI port {name!r} does not work: {error}")


def _nearest_first(name: str, names: Sequence[str]) -> list[str]:
    def likeness(one: str) -> float:
        return difflib.SequenceMatcher(None, name.casefold(), one.casefold()).ratio()

    return sorted(names, key=likeness, reverse=True)
