"""The application: the page's files, and the API under them."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from melodyconstraints import __version__
from melodyconstraints.errors import MelodyConstraintsError
from melodyconstraints.storage.text import printable, shortened
from melodyconstraints.studio import schemas
from melodyconstraints.studio.code import check_code
from melodyconstraints.studio.engine import Engine
from melodyconstraints.studio.export import MEDIA_TYPES, MIDI, file_bytes, save_files, zip_bytes
from melodyconstraints.studio.history import History
from melodyconstraints.studio.jobs import Job, Jobs, TooManyJobsError
from melodyconstraints.studio.places import Settings
from melodyconstraints.studio.schemas import Answer
from melodyconstraints.studio.security import Guard
from melodyconstraints.studio.training import train_in_process
from melodyconstraints.studio.uploads import read_upload
from melodyconstraints.studio.wishes import catalogue, check_wishes, find_wish, specs_of

PAGE = Path(__file__).parent / "page"
_SUMMARY = "Melodies that obey your rules, for programs on this machine."


def create_app(settings: Settings, engine: Engine | None = None) -> FastAPI:
    """The application of a studio.

    Args:
        engine: the models; the default ones if not given.
    """
    app = FastAPI(
        title="melodyconstraints studio",
        version=__version__,
        description=_SUMMARY,
        docs_url=None,  # those pages load scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Guard, settings=settings)
    app.add_exception_handler(MelodyConstraintsError, _toolkit_error)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(HTTPException, _no_such_request)
    app.add_exception_handler(OSError, _no_room)
    engine = engine or Engine()
    app.state.jobs = jobs = Jobs(settings.folder / "jobs")
    app.include_router(_rules(settings, engine))
    app.include_router(_melodies(settings, engine))
    app.include_router(_files(settings))
    app.include_router(_work(settings, engine, jobs))
    app.include_router(_jobs(jobs))
    app.include_router(_history(History(settings.folder / "history")))
    _serve_page(app, _page_files(PAGE))
    return app


def _rules(settings: Settings, engine: Engine) -> APIRouter:
    """Routes that need no melody: the state of the models, and rules."""
    router = APIRouter(tags=["melodies"])

    @router.get("/status")
    def status() -> Answer:
        """Whether the models are loaded; the first request begins to load them."""
        engine.start()
        return {
            "models": engine.state,
            "version": __version__,
            "allow_code": settings.allow_code,
            "save_to": str(settings.save_to),
        }

    @router.get("/rules")
    def rules() -> Answer:
        """The rules of the library, and the scales by name."""
        return catalogue()

    @router.post("/rules")
    def check_rules(body: schemas.RulesRequest) -> Answer:
        """Whether specifications name rules: of each, its name, or what is wrong."""
        return {"rules": [_checked_spec(spec, settings) for spec in body.rules]}

    @router.post("/rules/code")
    def check_rule_code(body: schemas.CodeRequest) -> Answer:
        """Check a rule in Python, and keep it under the specification that is returned."""
        return check_code(body.text, settings)

    return router


def _melodies(settings: Settings, engine: Engine) -> APIRouter:
    """Routes of melodies; what draws them is imported when it is first needed."""
    router = APIRouter(tags=["melodies"])

    @router.post("/generate")
    def generate(body: schemas.GenerateRequest) -> Answer:
        """Melodies that satisfy rules, with their rewards."""
        from melodyconstraints.studio.generate import generated

        return generated(engine.models(), body, settings)

    @router.post("/reroll")
    def reroll(body: schemas.RerollRequest) -> Answer:
        """Other melodies in place of one, some of its bars kept note for note."""
        from melodyconstraints.studio.generate import rerolled

        return rerolled(engine.models(), body, settings)

    @router.post("/score")
    def score(body: schemas.ScoreRequest) -> Answer:
        """Rewards of melodies under rules."""
        from melodyconstraints.studio.generate import scored

        return scored(body, settings)

    @router.post("/reconstruct")
    def reconstruct(body: schemas.ReconstructRequest) -> Answer:
        """Reconstruction of a melody by the model."""
        from melodyconstraints.studio.generate import reconstructed

        return reconstructed(engine.models(), body.melody)

    @router.post("/interpolate")
    def interpolate(body: schemas.InterpolateRequest) -> Answer:
        """Melodies on the way from one to another."""
        from melodyconstraints.studio.generate import interpolated

        return interpolated(engine.models(), body)

    return router


def _files(settings: Settings) -> APIRouter:
    """Routes of files: MIDI in; MIDI, DAWproject and MusicXML out."""
    router = APIRouter(tags=["files"])

    @router.post("/melody", openapi_extra=_bytes_body(MIDI))
    async def melody(
        request: Request,
        bar: Annotated[int | None, Query(ge=1, le=100_000)] = None,
        track: Annotated[str | None, Query(max_length=100)] = None,
    ) -> Answer:
        """The 16 bars of a MIDI file, its bytes as the body, that are most likely its melody."""
        from starlette.concurrency import run_in_threadpool

        return await run_in_threadpool(read_upload, await request.body(), bar, track)

    @router.post("/midi", response_class=Response)
    def midi(body: schemas.ExportRequest) -> Response:
        """Melodies as the bytes of one file, MIDI or another ``format``, a track each."""
        return Response(file_bytes(body), media_type=MEDIA_TYPES[body.format])

    @router.post("/zip", response_class=Response)
    def zipped(body: schemas.ExportRequest) -> Response:
        """Melodies as a zip of files."""
        return Response(zip_bytes(body), media_type="application/zip")

    @router.post("/save")
    def save(body: schemas.ExportRequest) -> Answer:
        """Write files to the folder that the studio was started with."""
        paths = save_files(body, settings.save_to)
        return {"folder": str(settings.save_to), "files": [path.name for path in paths]}

    return router


def _work(settings: Settings, engine: Engine, jobs: Jobs) -> APIRouter:
    """Routes of work that takes longer: transformations and trainings."""
    router = APIRouter(tags=["jobs"])

    @router.post("/transform", status_code=HTTPStatus.ACCEPTED)
    def transform(body: schemas.TransformRequest) -> Answer:
        """Start to change a melody as little as rules need; the job's result has the melodies."""
        check_wishes(body.rules, settings)
        schemas.melody_of(body.melody)

        def work(job: Job) -> Answer:
            from melodyconstraints.studio.generate import transformed

            def report(share: float) -> None:
                job.report({"progress": share})

            return transformed(engine.models(), body, settings, report, job.stop.is_set)

        return jobs.start("transform", specs_of(body.rules), work).summary()

    @router.post("/train", status_code=HTTPStatus.ACCEPTED)
    def train(body: schemas.TrainRequest) -> Answer:
        """Start to train an actor for rules; it is used from then on wherever they are asked."""
        from melodyconstraints.melody.form import AUTO, form_of

        check_wishes(body.rules, settings)
        form_of(body.form or AUTO)

        def work(job: Job) -> Answer:
            from melodyconstraints.studio.sources import actor_folder

            model = engine.models().model
            folder = actor_folder(model, body.rules, body.form, settings)
            return train_in_process(job, model.folder, body, folder, settings)

        return jobs.start("train", specs_of(body.rules), work).summary()

    return router


def _jobs(jobs: Jobs) -> APIRouter:
    """Routes of the jobs: their progress and results."""
    router = APIRouter(tags=["jobs"])

    @router.get("/jobs")
    def all_jobs() -> Answer:
        """All jobs, the newest last."""
        return {"jobs": jobs.list()}

    @router.get("/jobs/{job}")
    def one_job(job: str) -> Answer:
        """A job, and its result where it has ended."""
        return jobs.get(job).summary()

    @router.get("/jobs/{job}/events", response_class=StreamingResponse)
    async def events(job: str) -> StreamingResponse:
        """Progress of a job as server-sent events; the last is ``end``, with its result."""
        jobs.get(job)
        return StreamingResponse(jobs.events(job), media_type="text/event-stream")

    @router.post("/jobs/{job}/cancel")
    def cancel(job: str) -> Answer:
        """Ask a job to end; a training keeps its best actor so far."""
        jobs.get(job).stop.set()
        return jobs.get(job).summary()

    return router


def _history(history: History) -> APIRouter:
    """Routes of the page's states."""
    router = APIRouter(prefix="/history", tags=["history"])

    @router.get("")
    def summary() -> Answer:
        """All states in short, and which one is shown."""
        return history.summary()

    @router.post("")
    def add(state: schemas.State) -> Answer:
        """Add a state."""
        return {"number": history.add(state)}

    @router.put("/position")
    def show(position: schemas.Position) -> Answer:
        """Show a state from now on."""
        history.show(position.number)
        return {}

    @router.get("/{number}")
    def one(number: int) -> schemas.State:
        """A whole state."""
        return history.get(number)

    @router.put("/{number}")
    def replace(number: int, state: schemas.State) -> Answer:
        """Change a state."""
        history.replace(number, state)
        return {}

    return router


def _checked_spec(spec: str, settings: Settings) -> Answer:
    if len(spec) > schemas.LONGEST_SPEC:
        said = f"a rule has at most {schemas.LONGEST_SPEC} characters here, this one {len(spec)}"
        return {"spec": spec, "error": said}
    try:
        rule = find_wish(spec, settings)
    except MelodyConstraintsError as error:
        return {"spec": spec, "error": printable(str(error))}
    allowed = None if rule.pitch_classes is None else sorted(rule.pitch_classes)
    return {"spec": spec, "name": rule.name, "key": rule.key, "pitch_classes": allowed}


def _bytes_body(media_type: str) -> dict[str, Any]:
    """OpenAPI of a body of bytes."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}


def _page_files(folder: Path) -> dict[str, tuple[bytes, str]]:
    """Bytes and types of the page's files, by their paths in an address."""
    files = {
        f"/{path.relative_to(folder).as_posix()}": (
            path.read_bytes(),
            mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        )
        for path in folder.rglob("*.*")
    }
    return {"/": files["/index.html"], **files}


def _serve_page(app: FastAPI, files: Mapping[str, tuple[bytes, str]]) -> None:
    """Serve files from memory: no path of a request reaches the disk."""
    tags = {
        name: f'"{hashlib.sha256(data).hexdigest()[:16]}"' for name, (data, _) in files.items()
    }

    @app.get("/{path:path}", include_in_schema=False)
    async def page(path: str, request: Request) -> Response:
        name = f"/{path}"
        if name not in files:
            return JSONResponse({"error": "there is nothing here"}, HTTPStatus.NOT_FOUND)
        headers = {"etag": tags[name], "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        data, media_type = files[name]
        return Response(data, media_type=media_type, headers=headers)


def _toolkit_error(_: Request, error: Exception) -> JSONResponse:
    busy = isinstance(error, TooManyJobsError)
    status = HTTPStatus.TOO_MANY_REQUESTS if busy else HTTPStatus.UNPROCESSABLE_ENTITY
    return JSONResponse({"error": printable(str(error))}, status)


def _no_room(_: Request, error: Exception) -> JSONResponse:
    """Answer to a request during which the studio could not write, as on a full disk."""
    why = cast(OSError, error).strerror or str(error)
    text = f"the studio cannot write its files: {why}"
    return JSONResponse({"error": printable(text)}, HTTPStatus.INSUFFICIENT_STORAGE)


def _no_such_request(_: Request, error: Exception) -> JSONResponse:
    """Answer to a request of unreadable JSON, or of an unknown path or method."""
    refused = cast(HTTPException, error)
    return JSONResponse({"error": refused.detail}, refused.status_code, refused.headers)


def _wrong_request(_: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with a request, in one line; its values are not repeated."""
    first = cast(RequestValidationError, error).errors()[0]
    if first["type"] == "json_invalid" or (first["type"], first["loc"]) == ("missing", ("body",)):
        return JSONResponse({"error": "the body is no JSON"}, HTTPStatus.BAD_REQUEST)
    where = ".".join(str(part) for part in first["loc"][1:])
    text = f"{shortened(where)}: {first['msg']}" if where else str(first["msg"])
    return JSONResponse({"error": printable(text)}, HTTPStatus.UNPROCESSABLE_ENTITY)
