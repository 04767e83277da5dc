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

# what takes long starts first, the longest before all: at the end it would leave a process idle
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
    """What a test process of xdist tells of a test: how it went, and what is beside that where it went wrong.

    Of six messages a test one is shown; the others cost half a millisecond, as much as a short test.
    """

    def sendevent(name, **told):
        report = told.get("data", {})
        beside = report.get("when") in ("setup", "teardown") and report.get("outcome") == "passed"
        if name not in ("logstart", "logfinish") and not (name == "testreport" and beside):
            send(name, **told)

    return sendevent


def pytest_configure(config):
    "What response headers tell of limits is noted below a folder of this process, not of the user."
    for plugin in config.pluginmanager.get_plugins():
        if hasattr(plugin, "sendevent") and config.getoption("durations") is None:
            plugin.sendevent = in_short(plugin.sendevent)
    os.environ["CRMEVAL_LIMITS"] = f"{tempfile.gettempdir()}/crmeval-test-limits-{os.getpid()}"
    gc.set_threshold(100_000, 20, 20)  # looking for garbage as often as usual takes a twelfth of all the time


def pytest_unconfigure():
    shutil.rmtree(os.environ["CRMEVAL_LIMITS"], ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_collection():
    """One test process after the other reads the tests.

    The first compiles them and all that they import and leaves that for the others, which would do the same
    beside it; other checks have the processor meanwhile.
    """
    with open(__file__, "rb") as lock:
        if "PYTEST_XDIST_WORKER" in os.environ:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pytest_collection_modifyitems(items):
    "Files with long tests first, all others in their order."
    place = {name: k for k, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """What earlier files left in memory is not looked through again.

    A process has millions of objects in the end; Python looks through all of them now and then, which takes
    seconds, in whichever test it happens, and some hold how long a text may take.
    """
    if nextitem is None or nextitem.path != item.path:
        syntax.forget()
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def nothing_stays_known():
    "What a process learns (own use cases and metrics, refused options) is not there for other tests."
    yield
    use_cases._ADDED.clear()
    criteria._ADDED.clear()
    LEARNED.clear()


@pytest.fixture
def server(monkeypatch):
    "An endpoint on loopback, with a planted key in the environment."
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
    with open(root / "demo-run.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "demo-run" / "scores.parquet").is_file():
            run(out=root / "demo-run", progress=False)
    return open_run(root / "demo-run")
