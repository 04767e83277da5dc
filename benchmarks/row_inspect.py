"Inspect: generate(), then model_graded_qa() with one grader. Its log file is written."

import tempfile

from common import QUESTION, keys, row, task

keys()  # read at import, so set before
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import model_graded_qa
from inspect_ai.solver import generate


def work(url, first, n, concurrency):
    config = {"max_connections": concurrency, "temperature": 0}
    dataset = MemoryDataset(
        [Sample(input=task(i), target=QUESTION, id=f"c{i}") for i in range(first, first + n)]
    )
    grader = get_model("openai/judge", base_url=url, api_key="no-key-needed", responses_api=False)
    model = get_model("openai/generator", base_url=url, api_key="no-key-needed", responses_api=False)
    with tempfile.TemporaryDirectory() as folder:
        # twice as many samples as connections, so that generations and gradings can overlap
        (log,) = eval(
            Task(dataset=dataset, solver=generate(), scorer=model_graded_qa(model=grader)),
            model=model,
            log_dir=folder,
            display="none",
            max_samples=2 * concurrency,
            log_realtime=False,
            fail_on_error=False,
            **config,
        )
    return log.results.scores[0].scored_samples if log.results and log.results.scores else 0


if __name__ == "__main__":
    row(__doc__, "Inspect", "inspect-ai", "calls, one grade per sample, its log file", work)
