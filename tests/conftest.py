"Fixtures that several test files use."

import fcntl
import gc
import os
import shutil
import tempfile

import endpoint
import pytest
import syntax

from crmeval.metrics import criteria
from crmeval.systems.refused_options import LEARNED
from crmeval.tasks import use_cases

# long files start first, the longest before all: started last, they would leave a process idle
LONG = (
    "test_ray",
    "test_run_columns",
    "test_report_browser",
    "test_publish_browser",
    "test_hostile_pages",
    "test_ingest",
    "test_labelled",
    "test_same_figures",
    "test_hash_seeds",
    "test_metric_trial",
    "test_package",
    "test_data",
    "test_site",
    "test_local",
    "test_wrong_words",
    "test_runner_kill",
)


def in_short(send):
    """Send only the messages of an xdist process that are displayed: results, and failures beside them.

    Of six messages per test one is displayed; the others cost half a millisecond, as much as a short test.
    """

    def sendevent(name, **details):
        report = details.get("data", {})
        beside = report.get("when") in ("setup", "teardown") and report.get("outcome") == "passed"
        if name not in ("logstart", "logfinish") and not (name == "testreport" and beside):
            send(name, **details)

    return sendevent


def pytest_configure(config):
    "Shorten xdist's messages, store rate limits in a folder of this process, and collect garbage rarely."
    for plugin in config.pluginmanager.get_plugins():
        if hasattr(plugin, "sendevent") and config.getoption("durations") is None:
            plugin.sendevent = in_short(plugin.sendevent)
    os.environ["CRMEVAL_LIMITS"] = f"{tempfile.gettempdir()}/crmeval-test-limits-{os.getpid()}"
    gc.set_threshold(100_000, 20, 20)  # by default, garbage collection takes a twelfth of the time


def pytest_unconfigure():
    shutil.rmtree(os.environ["CRMEVAL_LIMITS"], ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_collection():
    """Let the test processes collect the tests one after another.

    The first compiles them and their imports for the others, which would otherwise do the same work in
    parallel; meanwhile other checks have the processor.
    """
    with open(__file__, "rb") as lock:
        if "PYTEST_XDIST_WORKER" in os.environ:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pytest_collection_modifyitems(items):
    "Run the files with long tests first, all others in their order."
    place = {name: k for k, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Exclude objects of earlier test files from garbage collection.

    A process ends up with millions of objects, and a full collection takes seconds, in any test, including
    those that limit the time for a text.
    """
    if nextitem is None or nextitem.path != item.path:
        syntax.forget()
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def nothing_stays_known():
    "Forget what a test has registered or learned (use cases, metrics, refused options)."
    yield
    use_cases._ADDED.clear()
    criteria._ADDED.clear()
    LEARNED.clear()


@pytest.fixture
def server(monkeypatch):
    "Yield an endpoint on loopback, with a planted key in the environment."
    monkeypatch.setenv("OPENAI_API_KEY", endpoint.KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    httpd = endpoint.start()
    yield httpd
    endpoint.stop(httpd)


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory):
    "The five baseline systems on the whole demo set: run by the first test process, opened by the others."
    from crmeval.runs.evaluation import run
    from crmeval.runs.folder import open_run

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # the folder that all processes of this session share
    with open(root / "demo-run.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "demo-run" / "scores.parquet").is_file():
            run(out=root / "demo-run", progress=False)
    return open_run(root / "demo-run")
