"""crmeval: the open benchmark for language models in CRM work.

The names below load their module when they are first used, so that `import crmeval` stays light.
"""

__version__ = "0.1.0"

from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from os import path as _path
from types import FunctionType as _Function

_HERE = _path.abspath(__path__[0])
if not _path.isdir(_HERE):  # on `sys.path` as a .zip or .whl, as Spark's --py-files has it
    _TOLD = "crmeval reads files beside its modules, so it cannot be imported from an archive"
    raise ImportError(f"{_TOLD}: unpack {_path.dirname(_HERE)}, or install it with pip")

# public name -> module that defines it
_WHERE = {
    "Sample": "core.records",
    "Response": "core.records",
    "Score": "core.records",
    "factuality": "metrics.factuality",
    "completeness": "metrics.completeness",
    "conciseness": "metrics.conciseness",
    "instruction_following": "metrics.instruction_following",
    "fluency": "metrics.fluency",
    "afluency": "metrics.fluency",
    "coherence": "metrics.coherence",
    "acoherence": "metrics.coherence",
    "brand_voice": "metrics.brand_voice",
    "abrand_voice": "metrics.brand_voice",
    "term_precision": "metrics.term_precision",
    "aterm_precision": "metrics.term_precision",
    "citation_recall": "metrics.citations",
    "acitation_recall": "metrics.citations",
    "citation_precision": "metrics.citations",
    "acitation_precision": "metrics.citations",
    "evaluate_retriever": "metrics.retrieval",
    "compare_retrievers": "metrics.retrieval",
    "retrieval_set": "tasks.retrieval_sets",
    "accuracy": "metrics.accuracy",
    "record_update": "metrics.record_update",
    "safety": "metrics.safety",
    "privacy": "metrics.privacy",
    "fairness_report": "metrics.fairness",
    "toxicity": "metrics.toxicity",
    "trust": "metrics.trust",
    "protection": "metrics.protection",
    "refusal": "metrics.safety",
    "leaks": "metrics.leaks",
    "truthful": "metrics.truthfulness",
    "Catalogue": "connect.federation",
    "find_pii": "detect.pii",
    "perturb": "tasks.twins",
    "load_use_case": "tasks.load",
    "load_source": "tasks.load",
    "afactuality": "metrics.factuality",
    "acompleteness": "metrics.completeness",
    "aconciseness": "metrics.conciseness",
    "ainstruction_following": "metrics.instruction_following",
    "arecord_update": "metrics.record_update",
    "aprivacy": "metrics.privacy",
    "atoxicity": "metrics.toxicity",
    "arefusal": "metrics.safety",
    "atruthful": "metrics.truthfulness",
    "Metric": "metrics.metric",
    "score_dataset": "metrics.forms",
    "make_panel": "runs.specs",
    "TrustLayer": "layer.trust_layer",
    "run": "runs.evaluation",
    "arun": "runs.evaluation",
    "run_batch": "runs.batch",
    "arun_batch": "runs.batch",
    "open_run": "runs.folder",
    "agreement": "validation.metric_trial",
    "leaderboard": "pages.leaderboard",
    "compare": "pages.compare",
}
__all__ = sorted([*_WHERE, "__version__"])


# Metrics need only `pip install crmeval`; other wings need an extra, detected by its packages
_PACKAGES = {
    "layer": ("aiohttp", "openai", "yaml"),
    "run": ("aiohttp", "cyclopts", "datasets", "matplotlib", "openai", "pyarrow", "scipy", "yaml"),
}
_EXTRA_OF = {"layer": "layer", **dict.fromkeys(("runs", "validation", "people", "pages", "cli"), "run")}


def _need_extra(extra, what):
    "Raise `ImportError` with the install command where packages of an extra are missing."
    missing = [name for name in _PACKAGES[extra] if _find_spec(name) is None]
    if missing:
        absent = f"packages that are not installed ({', '.join(missing)})"
        raise ImportError(f"{what} needs {absent}: pip install 'crmeval[{extra}]'")


def __getattr__(name):
    if name not in _WHERE:
        raise AttributeError(f"module 'crmeval' has no attribute {name!r}; it has {', '.join(__all__)}")
    if extra := _EXTRA_OF.get(_WHERE[name].partition(".")[0]):
        _need_extra(extra, f"crmeval.{name}")
    found = getattr(_import_module(f"crmeval.{_WHERE[name]}"), name)
    return _explain(found) if isinstance(found, _Function) else found


def _explain(function):
    "Add an explanation of the arguments to the `help` of a public function."
    return _import_module("crmeval.core.call_forms").documented(function)


def __dir__():
    return __all__


TYPE_CHECKING = False
if TYPE_CHECKING:  # the same names for editors and type checkers, which do not run this code
    from crmeval.connect.federation import Catalogue as Catalogue
    from crmeval.core.records import Response as Response
    from crmeval.core.records import Sample as Sample
    from crmeval.core.records import Score as Score
    from crmeval.detect.pii import find_pii as find_pii
    from crmeval.layer.trust_layer import TrustLayer as TrustLayer
    from crmeval.metrics.accuracy import accuracy as accuracy
    from crmeval.metrics.brand_voice import abrand_voice as abrand_voice
    from crmeval.metrics.brand_voice import brand_voice as brand_voice
    from crmeval.metrics.citations import acitation_precision as acitation_precision
    from crmeval.metrics.citations import acitation_recall as acitation_recall
    from crmeval.metrics.citations import citation_precision as citation_precision
    from crmeval.metrics.citations import citation_recall as citation_recall
    from crmeval.metrics.coherence import acoherence as acoherence
    from crmeval.metrics.coherence import coherence as coherence
    from crmeval.metrics.completeness import acompleteness as acompleteness
    from crmeval.metrics.completeness import completeness as completeness
    from crmeval.metrics.conciseness import aconciseness as aconciseness
    from crmeval.metrics.conciseness import conciseness as conciseness
    from crmeval.metrics.factuality import afactuality as afactuality
    from crmeval.metrics.factuality import factuality as factuality
    from crmeval.metrics.fairness import fairness_report as fairness_report
    from crmeval.metrics.fluency import afluency as afluency
    from crmeval.metrics.fluency import fluency as fluency
    from crmeval.metrics.forms import score_dataset as score_dataset
    from crmeval.metrics.instruction_following import ainstruction_following as ainstruction_following
    from crmeval.metrics.instruction_following import instruction_following as instruction_following
    from crmeval.metrics.leaks import leaks as leaks
    from crmeval.metrics.metric import Metric as Metric
    from crmeval.metrics.privacy import aprivacy as aprivacy
    from crmeval.metrics.privacy import privacy as privacy
    from crmeval.metrics.protection import protection as protection
    from crmeval.metrics.record_update import arecord_update as arecord_update
    from crmeval.metrics.record_update import record_update as record_update
    from crmeval.metrics.retrieval import compare_retrievers as compare_retrievers
    from crmeval.metrics.retrieval import evaluate_retriever as evaluate_retriever
    from crmeval.metrics.safety import arefusal as arefusal
    from crmeval.metrics.safety import refusal as refusal
    from crmeval.metrics.safety import safety as safety
    from crmeval.metrics.term_precision import aterm_precision as aterm_precision
    from crmeval.metrics.term_precision import term_precision as term_precision
    from crmeval.metrics.toxicity import atoxicity as atoxicity
    from crmeval.metrics.toxicity import toxicity as toxicity
    from crmeval.metrics.trust import trust as trust
    from crmeval.metrics.truthfulness import atruthful as atruthful
    from crmeval.metrics.truthfulness import truthful as truthful
    from crmeval.pages.compare import compare as compare
    from crmeval.pages.leaderboard import leaderboard as leaderboard
    from crmeval.runs.batch import arun_batch as arun_batch
    from crmeval.runs.batch import run_batch as run_batch
    from crmeval.runs.evaluation import arun as arun
    from crmeval.runs.evaluation import run as run
    from crmeval.runs.folder import open_run as open_run
    from crmeval.runs.specs import make_panel as make_panel
    from crmeval.tasks.load import load_source as load_source
    from crmeval.tasks.load import load_use_case as load_use_case
    from crmeval.tasks.retrieval_sets import retrieval_set as retrieval_set
    from crmeval.tasks.twins import perturb as perturb
    from crmeval.validation.metric_trial import agreement as agreement
