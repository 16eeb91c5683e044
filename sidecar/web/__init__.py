"""The Flask application: routes, OpenAPI, logs, and a worker put together (WSGI, PEP 3333)."""
