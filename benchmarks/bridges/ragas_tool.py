"RAGAS evaluates a set with a metric of ours; nothing is sent anywhere."

import math
import os

os.environ["RAGAS_DO_NOT_TRACK"] = "true"

from ragas import EvaluationDataset, SingleTurnSample, evaluate
from told import CONTEXT, RIGHT, WRONG, tell

from crmeval.bridges.adapters import ragas_metric

samples = [
    SingleTurnSample(user_input="When?", response=answer, retrieved_contexts=[CONTEXT])
    for answer in (RIGHT, WRONG)
]
right, wrong = (ragas_metric("factuality").single_turn_score(s) for s in samples)
assert right > 0.5 > wrong, (right, wrong)
assert math.isnan(ragas_metric("completeness").single_turn_score(samples[0]))
found = evaluate(EvaluationDataset(samples), metrics=[ragas_metric("factuality")], show_progress=False)
assert found["factuality"] == [right, wrong], found
tell("ragas", "a metric in evaluate; a score without a value is NaN")
