"""A Flask application with a factory."""

from flask import Flask, jsonify, request


def create_app(name="flask"):
    app = Flask(name)

    @app.get("/")
    def index():
        return f"{name}\n"

    @app.get("/environ")
    def environ():
        return jsonify(scheme=request.scheme, address=request.remote_addr, root=request.root_path)

    return app
