"""``mc studio``."""

from __future__ import annotations

from pathlib import Path

import click

from melodyconstraints.cli._common import FOLDER, stderr_console


@click.command("studio")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; another one needs --token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8127,
    show_default=True,
    help="0 takes any that is free.",
)
@click.option("--token", help="Secret of 16 letters and digits that every request brings.")
@click.option(
    "--folder", type=FOLDER, help="Where history and actors are kept.  [default: the user's data]"
)
@click.option(
    "--save-to",
    type=FOLDER,
    default=Path("studio"),
    show_default=True,
    help="Where the page's button 'Save to folder' writes MIDI files.",
)
@click.option(
    "--allow-code",
    is_flag=True,
    help="Let the page run rules written in Python: whoever reaches it can run programs as you.",
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
def command(
    host: str,
    port: int,
    token: str | None,
    folder: Path | None,
    save_to: Path,
    allow_code: bool,
    browser: bool,
) -> None:
    """A page in your browser: hear melodies, keep bars, drag MIDI out; and an API under it.

    \b
    mc studio
    mc studio --port 0 --no-browser
    mc studio --host 0.0.0.0 --token TOKEN

    Everything stays on this machine; the page loads nothing from elsewhere. /openapi.json
    describes the API.
    """  # noqa: D301 (click wants the character)
    from melodyconstraints.studio.places import Settings, default_folder
    from melodyconstraints.studio.server import serve

    settings = Settings(
        folder=(folder or default_folder()).resolve(),
        save_to=save_to.resolve(),
        host=host,
        port=port,
        token=token,
        allow_code=allow_code,
    )
    if allow_code:
        stderr_console().print("--allow-code: whoever reaches the page can run programs as you")
    serve(
        settings,
        open_page=browser,
        announce=lambda page: stderr_console().print(f"the studio is at {page} (Ctrl-C ends it)"),
    )
