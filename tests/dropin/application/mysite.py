"""A Django project in one file."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    SECRET_KEY="not secret",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)


def show(request):
    site = os.environ.get("SHOP_SITE", "")
    return JsonResponse({"secure": request.is_secure(), "host": request.get_host(), "path": request.path, "site": site})


urlpatterns = [path("", show), path("environ", show)]
application = get_wsgi_application()
