"""crmeval: the open benchmark for language models in CRM work.

The names below load their module when they are first used, so that `import crmeval` stays light.
"""

__version__ = "0.1.0"

from importlib import import_module as _import_module

# public name -> module that holds it
_WHERE = {
    "Sample": "core.records",
    "Response": "core.records",
    "Score": "core.records",
    "factuality": "metrics.factuality",
    "completeness": "metrics.completeness",
    "conciseness": "metrics.conciseness",
    "instruction_following": "metrics.instruction_following",
    "accuracy": "metrics.accuracy",
    "record_update": "metrics.record_update",
    "safety": "metrics.safety",
    "privacy": "metrics.privacy",
    "fairness_report": "metrics.fairness",
    "toxicity": "metrics.toxicity",
    "trust": "metrics.trust",
    "refusal": "metrics.safety",
    "leaks": "metrics.leaks",
    "truthful": "metrics.truthfulness",
    "find_pii": "detect.pii",
    "perturb": "tasks.twins",
    "load_use_case": "tasks.load",
    "load_source": "tasks.load",
    "make_panel": "runs.specs",
    "run": "runs.evaluation",
    "arun": "runs.evaluation",
    "open_run": "runs.evaluation",
    "agreement": "validation.agreement",
    "leaderboard": "pages.leaderboard",
    "compare": "pages.compare",
}
__all__ = sorted([*_WHERE, "__version__"])


def __getattr__(name):
    if name not in _WHERE:
        raise AttributeError(f"module 'crmeval' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(_import_module(f"crmeval.{_WHERE[name]}"), name)


def __dir__():
    return __all__
