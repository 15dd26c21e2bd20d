"""A Django site in one file, without a database."""

from pathlib import Path

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils.safestring import mark_safe

LARGE = bytes(range(256)) * 20_000
FILE: list[Path] = []


def index(request):
    return HttpResponse("hello")


def count(request):
    request.session["n"] = request.session.get("n", 0) + 1
    return HttpResponse(str(request.session["n"]))


def stream(request):
    return StreamingHttpResponse(f"{number}\n" for number in range(100))


def upload(request):
    file = request.FILES["file"]
    data = b"".join(file.chunks())
    return JsonResponse({"name": file.name, "size": len(data), "same": data == LARGE, "note": request.POST["note"]})


def large(request):
    return FileResponse(FILE[0].open("rb"))


def error(request):
    raise ValueError("broken view")


def safe(request):
    response = HttpResponse("ok")
    response["X-Safe"] = mark_safe("safe")
    return response


def body(request):
    return HttpResponse(request.body, content_type="application/octet-stream")


def address(request, name):
    return HttpResponse(request.build_absolute_uri())


urlpatterns = [
    path("", index),
    path("count", count),
    path("stream", stream),
    path("upload", upload),
    path("large", large),
    path("error", error),
    path("safe", safe),
    path("body", body),
    path("address/<str:name>", address),
]


def make_app(folder: Path) -> WSGIHandler:
    """The WSGI application; can be made once in a process."""
    FILE.append(folder / "large.bin")
    FILE[0].write_bytes(LARGE)
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATA_UPLOAD_MAX_MEMORY_SIZE=100 << 20,
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="for tests only",  # noqa: S106
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        LOGGING_CONFIG=None,
    )
    django.setup()
    return WSGIHandler()
