"""``mc studio``: what it starts, and what it refuses to start."""

import sys

from melodyconstraints.studio import server


def test_the_options_are_the_settings_of_a_server(mc, monkeypatch, tmp_path):
    started = {}
    monkeypatch.setattr(
        server, "serve", lambda settings, **rest: started.update(rest, of=settings)
    )
    result = mc("studio", "--port", 0, "--no-browser", "--allow-code", "--folder", "data")
    assert result.exit_code == 0
    assert "can run programs as you" in result.stderr
    assert not started["open_page"]
    settings = started["of"]
    assert (settings.host, settings.port, settings.token) == ("127.0.0.1", 0, None)
    assert (settings.folder, settings.save_to) == (tmp_path / "data", tmp_path / "studio")


def test_other_machines_are_let_in_with_a_token_only(mc):
    result = mc("studio", "--host", "192.0.2.1", "--folder", "data")
    assert result.exit_code == 2
    assert "--host 192.0.2.1 lets other machines in; give a --token" in result.stderr


def test_without_the_extra_it_says_what_to_install(mc, monkeypatch):
    monkeypatch.delitem(sys.modules, "melodyconstraints.studio.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = mc("studio")
    assert result.exit_code == 2
    assert "pip install 'melodyconstraints[studio]'" in result.stderr
