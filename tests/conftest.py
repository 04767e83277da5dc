"Fixtures that several test files use."

import endpoint
import pytest


@pytest.fixture
def server(monkeypatch):
    "An endpoint on loopback, with a planted key in the environment."
    monkeypatch.setenv("OPENAI_API_KEY", endpoint.KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    httpd = endpoint.start()
    yield httpd
    endpoint.stop(httpd)
