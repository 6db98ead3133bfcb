"""Models and actors on the Hub, which a server on this machine stands in for."""

import importlib
import importlib.util
import json
import shutil
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from huggingface_hub import HfApi, constants

import melodyconstraints as mc
from melodyconstraints.cli.main import main
from melodyconstraints.errors import ArtifactError, UsageError
from melodyconstraints.storage import hub
from melodyconstraints.storage.artifacts import CARD, CONFIG, MANIFEST, WEIGHTS
from melodyconstraints.workflows.models import home_of

COMMIT = "a" * 40
HTTP = importlib.import_module("httpx2" if importlib.util.find_spec("httpx2") else "httpx")
"""What this version of ``huggingface-hub`` reaches the Hub by."""


class Repositories(BaseHTTPRequestHandler):
    """The routes by which a repository is downloaded: revision, tree, files."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0].strip("/").split("/")
        body, headers = b"{}", {}
        place = self.server.root.joinpath(*path[2:4] if path[0] == "api" else path[:2])
        found = place.is_dir() and len(path) > 2
        if not found:
            headers = {"X-Error-Code": "RepoNotFound"}
        elif path[4:5] == ["tree"]:
            files = [file for file in sorted(place.rglob("*")) if file.is_file()]
            names = [file.relative_to(place).as_posix() for file in files]
            rows = [{"type": "file", "path": name, "size": 1, "oid": name} for name in names]
            body = json.dumps(rows).encode()
        elif path[0] == "api":
            body = json.dumps({"id": "/".join(path[2:4]), "sha": COMMIT, "siblings": []}).encode()
        else:
            self.server.sent.add("/".join(path[4:]))
            body = place.joinpath(*path[4:]).read_bytes()
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hash(body):x}"'}
        self.send_response(200 if found else 404)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves the folders ``owner/name`` of its ``root``; uploads go there as well."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repositories)
    server.root, server.sent = tmp_path / "hub", set()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def upload(self, *, repo_id, folder_path, path_in_repo, **_):
        place = server.root / repo_id / (path_in_repo or "")
        shutil.copytree(folder_path, place, dirs_exist_ok=True)
        return SimpleNamespace(commit_url=f"{address}/{repo_id}/commit/{COMMIT}")

    monkeypatch.setattr(HfApi, "create_repo", lambda self, *_, **__: None)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    hub._downloaded.cache_clear()
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_what_is_pushed_is_read_by_its_name_and_nothing_else_of_its_repository(
    server, tiny_model_folder
):
    hub.push(tiny_model_folder, "hf://ada/tunes")
    repository = server.root / "ada" / "tunes"
    (repository / "model.pkl").write_bytes(b"cos\nsystem\n")
    (repository / "modeling.py").write_text("raise SystemExit")
    model = mc.load_model("hf://ada/tunes")
    assert model.folder == "hf://ada/tunes"
    assert model.fingerprint == mc.load_model(tiny_model_folder).fingerprint
    assert {Path(name).name for name in server.sent} == {CONFIG, WEIGHTS, CARD, MANIFEST}
    assert home_of(model).name == COMMIT
    card = (repository / CARD).read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: melodyconstraints\ntags:\n- melody-vae\n---\n")


def test_mc_push_prints_where_it_is_and_options_take_the_name_for_a_folder(
    server, tiny_model_folder
):
    pushed = CliRunner().invoke(main, ["push", str(tiny_model_folder), "hf://ada/tunes/small"])
    assert pushed.output == f"{constants.ENDPOINT}/ada/tunes/commit/{COMMIT}\n"
    name = "hf://ada/tunes/small"
    told = CliRunner().invoke(main, ["push", str(tiny_model_folder), name, "--json"]).stdout
    assert json.loads(told) == {"name": name, "commit": pushed.output.strip()}
    assert mc.load_model(Path("hf://ada/tunes@main/small")).folder == "hf://ada/tunes@main/small"


def test_an_actor_names_the_model_that_others_can_have(
    server, tiny_model_folder, tiny_actor_folder
):
    with pytest.raises(UsageError, match=r"is on this machine only; push that first, then this"):
        hub.push(tiny_actor_folder, "hf://ada/dense")
    hub.push(tiny_model_folder, "hf://ada/tunes")
    hub.push(tiny_actor_folder, "hf://ada/dense", model="hf://ada/tunes")
    assert mc.load_actor("hf://ada/dense").model.folder == "hf://ada/tunes"
    card = (server.root / "ada/dense" / CARD).read_text(encoding="utf-8")
    assert "\nbase_model: ada/tunes\n" in card
    assert card.count("---\n") == 2


def test_an_actor_on_the_hub_is_played(server, tiny_model_folder, tiny_actor_folder):
    hub.push(tiny_model_folder, "hf://ada/tunes")
    hub.push(tiny_actor_folder, "hf://ada/dense", model="hf://ada/tunes")

    class Port:
        """Stops at the first note."""

        def send(self, message):
            if message[0] >> 4 == 9 and message[2]:
                pitches.append(message[1])
                raise KeyboardInterrupt

        def close(self):
            pass

    pitches = []
    with suppress(KeyboardInterrupt):
        mc.play(Path("hf://ada/dense"), Port(), seed=3, tempo=1000)
    assert pitches == [mc.load_actor(tiny_actor_folder).generate(1, seed=3)[0].pitches[0]]


def test_weights_that_do_not_match_the_manifest_are_neither_read_nor_pushed(
    server, tiny_model_folder, tmp_path
):
    hub.push(tiny_model_folder, "hf://ada/tunes")
    weights = server.root / "ada" / "tunes" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactError, match="does not match manifest"):
        mc.load_model("hf://ada/tunes")
    with pytest.raises(ArtifactError, match="does not match manifest"):
        hub.push(weights.parent, "hf://ada/more")
    with pytest.raises(ArtifactError, match="is not a finished model or actor folder"):
        hub.push(tmp_path, "hf://ada/more")


@pytest.mark.parametrize("name", ["ada/tunes", "hf://ada/tunes@v2", "hf://ada"])
def test_a_name_to_push_to_is_whole(name, tiny_model_folder):
    with pytest.raises(UsageError, match="hf://owner/name"):
        hub.push(tiny_model_folder, name)


def test_a_push_to_a_hub_out_of_reach_is_one_line(server, monkeypatch, tiny_model_folder):
    def fails(*_, **__):
        raise HTTP.ConnectError("[Errno 111] Connection refused")

    monkeypatch.setattr(HfApi, "create_repo", fails)
    text = (
        r"^hf://ada/tunes: \[Errno 111\] Connection refused; the Hub cannot be reached: try again"
    )
    with pytest.raises(ArtifactError, match=text):
        hub.push(tiny_model_folder, "hf://ada/tunes")
    monkeypatch.setattr(HfApi, "create_repo", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a mistake of ours is none of the Hub's
        hub.push(tiny_model_folder, "hf://ada/tunes")


def test_what_is_not_there_and_a_hub_out_of_reach_are_one_line(server, monkeypatch):
    with pytest.raises(ArtifactError, match="hf://no/one is not on the Hub, or your account may"):
        mc.load_model("hf://no/one")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ArtifactError, match="hf://ada/tunes is not in the Hub's cache, and the"):
        mc.load_actor("hf://ada/tunes")
