"The extra `layer` is enough for the trust layer: no package of the benchmark is needed to protect a call."

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
MODULES = {"pyyaml": "yaml", "scikit_learn": "sklearn"}  # distributions whose module has another name

WORK = r"""
import sys
for name in sys.argv[2].split(","):
    sys.modules[name] = None
from crmeval import TrustLayer
from crmeval.layer.audit_trail import AuditTrail
record = {"contact": {"name": "Ann Lee", "email": "ann.lee@example.com", "since": "2024-03-01"}}
layer = TrustLayer("openai:good", "policy.yaml", base_url=sys.argv[1], trail=AuditTrail("trail.jsonl"))
template = "Thank {{contact.name}} ({{contact.email}}), a customer since {{contact.since | date}}."
reply = layer.reply(template, record, user="u")
pieces = "".join(piece.text for piece in layer.stream(template, record, user="u"))
print(reply.text, pieces, AuditTrail("trail.jsonl").verify(), sep="\n")
"""


def packages(*extras):
    "Return the modules of the packages that the core and some extras install."
    settings = ConfigParser(interpolation=None)
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    lines = [settings["DEFAULT"]["requirements"]]
    lines += [settings["DEFAULT"][f"{extra}_requirements"] for extra in extras]
    found = {Requirement(r).name.replace("-", "_").lower() for r in " ".join(lines).split()}
    return {MODULES.get(name, name) for name in found}


@pytest.fixture
def absent():
    if not (ROOT / "settings.ini").exists():
        pytest.skip("the settings are not here: this is an installed package")
    return packages("run") - packages("layer")


def test_a_reply_and_a_stream_need_no_package_of_the_benchmark(absent, server, tmp_path):
    (tmp_path / "policy.yaml").write_text("masking: {hints: true}\n", encoding="utf-8")
    words = [sys.executable, "-c", WORK, server.url, ",".join(sorted(absent))]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    reply, pieces, verdict = done.stdout.splitlines()
    assert reply == pieces == "The customer reported a problem. The agent solved it."
    assert verdict.endswith("the chain holds") and not any("Ann" in body for body in server.bodies)


@pytest.mark.parametrize(("name", "extra"), [("TrustLayer", "layer"), ("leaderboard", "run")])
def test_a_missing_package_is_reported_with_the_smallest_extra(name, extra):
    work = f"import sys; sys.modules['yaml'] = None; from crmeval import {name}"
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True)
    expected = f"crmeval.{name} needs packages that are not installed (yaml): pip install 'crmeval[{extra}]'"
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == f"ImportError: {expected}"
