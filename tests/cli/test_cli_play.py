"""``mc play`` and ``mc ports``: options handed over, and what is said."""

import json

import pytest

from melodyconstraints.errors import PortError
from melodyconstraints.melody.midi import ports
from melodyconstraints.workflows import play as workflow


@pytest.fixture
def called(monkeypatch, tmp_path):
    calls = []

    def play(source, port, *, announce, **options):
        announce("a\x1b.mid")
        calls.append((str(source), port, {k: v for k, v in options.items() if v}))

    monkeypatch.setattr(workflow, "play", play)
    (tmp_path / "a.mid").write_bytes(b"")
    return calls


def test_options_are_handed_over(mc, called):
    result = mc("play", "a.mid", "--port", "Synth", "--loop", "--clock", "--channel", 16)
    options = {"loop": True, "clock": True, "channel": 16, "seed": 1}
    assert (result.exit_code, called) == (0, [("a.mid", "Synth", options)])
    assert (result.stdout, result.stderr) == ("", "a\ufffd.mid\n")
    mc("play", "a.mid", "--port", "Synth", "--follow", "DAW", "--virtual")
    assert called[1][2] == {"follow": "DAW", "virtual": True, "seed": 1}


def test_a_source_is_there_or_a_name_on_the_hub(mc, called):
    assert mc("play", "hf://ada/dense", "--port", "Synth").exit_code == 0
    assert called == [("hf:/ada/dense", "Synth", {"seed": 1})]  # as a path has it
    result = mc("play", "b.mid", "--port", "Synth")
    assert (result.exit_code, len(called)) == (2, 1)
    assert "Path 'b.mid' does not exist" in result.stderr


def test_a_port_must_be_named(mc, called):
    result = mc("play", "a.mid")
    assert (result.exit_code, called) == (2, [])
    assert "Missing option '--port'" in result.stderr


def test_ports_are_listed(mc, monkeypatch):
    monkeypatch.setattr(ports, "port_names", lambda: ports.PortNames(["Synth"], ["DAW"]))
    assert mc("ports").stdout == "\tMIDI port\noutput\tSynth\ninput\tDAW\n"
    assert json.loads(mc("ports", "--json").stdout) == {"outputs": ["Synth"], "inputs": ["DAW"]}


def test_where_there_are_no_ports_one_line_says_what_to_do(mc, monkeypatch):
    monkeypatch.setattr(ports, "port_names", lambda: ports.PortNames([], []))
    result = mc("ports")
    assert result.exit_code == 1
    assert result.stderr == f"Error: there is no MIDI port; {ports.REMEDY}\n"

    def refuse():
        raise PortError("MIDI ports need pylibremidi")

    monkeypatch.setattr(ports, "port_names", refuse)
    assert mc("ports", "--json").stderr == "Error: MIDI ports need pylibremidi\n"
