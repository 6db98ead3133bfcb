"""A studio of a tiny model, and a client of its API."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from melodyconstraints.storage.cache import CACHE
from melodyconstraints.studio.app import create_app
from melodyconstraints.studio.engine import Engine, Models
from melodyconstraints.studio.places import Settings
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.conditional import train_knobs
from melodyconstraints.workflows.models import load_model


@pytest.fixture(scope="session")
def models(tiny_model_folder, tiny_settings) -> Models:
    """A tiny model and its knobs."""
    model = load_model(tiny_model_folder)
    return Models(model, train_knobs(model, tiny_settings))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a studio in a folder of the test's own, with small banks."""
    monkeypatch.setitem(load_bank.__wrapped__.__kwdefaults__, "size", 24)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return Settings(tmp_path / "studio", tmp_path / "saved", port=8127)


@pytest.fixture
def client(settings: Settings, models: Models) -> TestClient:
    """A client on this machine."""
    app = create_app(settings, Engine(lambda: models))
    return TestClient(app, base_url=settings.address)


@pytest.fixture
def post(client: TestClient):
    """Posts JSON, and gives the answer's."""

    def send(path, body, status=200):
        response = client.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    return send


@pytest.fixture
def wishes():
    """Wishes of specifications."""
    return lambda *specs: [{"spec": spec} for spec in specs]
