"RAGAS evaluates sets with metrics of ours; nothing is sent anywhere."

import math
import os
import warnings

os.environ["RAGAS_DO_NOT_TRACK"] = "true"

from datasets import Dataset
from ragas import EvaluationDataset, SingleTurnSample, evaluate
from trial import CONTEXT, RIGHT, WRONG, print_row

from crmeval.bridges.adapters import ragas_metric

ROW = {"user_input": "When?", "response": RIGHT, "retrieved_contexts": [CONTEXT]}
BARE = {name: value for name, value in ROW.items() if name != "retrieved_contexts"}


def values(rows, *metrics):
    "The columns of a result, by metric, and what was warned of."
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        result = evaluate(EvaluationDataset.from_list(rows), metrics=list(metrics), show_progress=False)
    said = [str(w.message) for w in heard if "could not be scored" in str(w.message)]
    return {m.name: result[m.name] for m in metrics}, said


samples = [SingleTurnSample(**{**ROW, "response": answer}) for answer in (RIGHT, WRONG)]
right, wrong = (ragas_metric("factuality").single_turn_score(s) for s in samples)
assert right > 0.5 > wrong, (right, wrong)
assert math.isnan(ragas_metric("completeness").single_turn_score(samples[0]))
found = evaluate(EvaluationDataset(samples), metrics=[ragas_metric("factuality")], show_progress=False)
assert found["factuality"] == [right, wrong], found

# a column that no row has, or one row lacks, or no row may lack
found, said = values([BARE, BARE], ragas_metric("factuality"), ragas_metric("fluency"))
assert all(map(math.isnan, found["factuality"])) and min(found["fluency"]) > 0.5, found
assert len(said) == 2 and "nothing for source" in said[0], said
found, said = values([ROW, BARE], ragas_metric("factuality"))
assert found["factuality"][0] == right and math.isnan(found["factuality"][1]) and len(said) == 1, found
try:
    told = values([{"user_input": "When?"}], ragas_metric("factuality"))
except ValueError as error:
    told = str(error)
assert "['response'] to be present" in told, told

# key facts in the rubrics, as the tutorial names them; an older set of Hugging Face
facts = {**ROW, "rubrics": {"first": "arrives on Friday"}}
found, _ = values([facts], ragas_metric("completeness", names={"key_facts": "rubrics"}))
assert found["completeness"][0] > 0.5, found
old = Dataset.from_list([{"question": "When?", "answer": WRONG, "contexts": [CONTEXT]}])
assert evaluate(old, metrics=[ragas_metric("factuality")], show_progress=False)["factuality"] == [wrong]
print_row(
    "ragas",
    "evaluate over sets with and without columns; no score is NaN and a warning; rubrics as key facts",
)
