"""Presidio with a spaCy model: CPU milliseconds to find personal data in each text of a JSON file.

    python row_presidio.py TEXTS.json MODEL [THREADS]

Runs in an environment of its own (requirements/presidio.txt). Prints the milliseconds as JSON. The texts are
those of layer_speed.py; the first ten only warm up.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider

texts, model = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2]
settings = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
engine = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=settings).create_engine())
spent, found = [], 0
for text in texts:
    start = time.process_time()
    found += len(engine.analyze(text, language="en"))
    spent.append(1000 * (time.process_time() - start))
assert found, "Presidio found nothing at all"
print(json.dumps({"version": version("presidio-analyzer"), "model": model, "ms": spent[10:]}))
