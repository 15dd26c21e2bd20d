"""The same application through Flask, for the soak."""

from application import answer
from flask import Flask, Response, request

app = Flask(__name__)


@app.route("/<path:path>", methods=["GET", "PUT"])
def everything(path):
    """Every path of the plain application."""
    _, parts = answer(path, request.get_data())
    return Response(parts, mimetype="text/plain")
