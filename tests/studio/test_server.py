"""The server of a studio, run as ``mc studio`` runs it."""

import urllib.request
from dataclasses import replace
from queue import Queue
from threading import Thread

import uvicorn

from melodyconstraints.studio import server


def test_the_address_is_told_once_it_answers(settings, monkeypatch):
    monkeypatch.setattr(server, "_LOADING_DELAY_SECONDS", 3600.0)
    told, servers = Queue(), []
    run = uvicorn.Server.run
    monkeypatch.setattr(
        uvicorn.Server, "run", lambda self, **rest: (servers.append(self), run(self, **rest))
    )

    def announce(page: str) -> None:
        told.put((page, servers[0].started))

    serving = Thread(
        target=server.serve,
        args=[replace(settings, port=0)],
        kwargs={"open_page": False, "announce": announce},
    )
    serving.start()
    try:
        page, answers = told.get(timeout=60)
        assert answers
        with urllib.request.urlopen(page, timeout=60) as response:  # noqa: S310
            assert response.status == 200
    finally:
        servers[0].should_exit = True
        serving.join()
