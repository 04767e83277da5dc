"crmeval.run with a language model as the judge, rubric style: one call per response. Writes a run folder."

import tempfile
from pathlib import Path

from common import conversation, keys, row

from crmeval.core.records import Sample
from crmeval.judges.llm import LLMJudge
from crmeval.runs.evaluation import run
from crmeval.systems.openai import OpenAIClient

FACTS = ("The customer was charged twice.", "The second charge was refunded.")


def work(url, first, n, concurrency):
    samples = [
        Sample(
            f"c{i}",
            "service_conversation_summary",
            {"conversation": conversation(i)},
            key_facts=FACTS,
            dataset="invented",
        )
        for i in range(first, first + n)
    ]
    judge = LLMJudge("judge", base_url=url, style="rubric")
    with tempfile.TemporaryDirectory() as folder:
        done = run(
            [OpenAIClient("generator", base_url=url)],
            data=samples,
            judge=judge,
            concurrency=concurrency,
            out=Path(folder) / "run",
            progress=False,
        )
    lost = {r.sample_id for r in done.responses if r.status != "ok"} | {
        s.sample_id for s in done.scores if s.status != "ok"
    }
    return len({s.sample_id for s in done.scores} - lost)


if __name__ == "__main__":
    keys()
    row(
        __doc__,
        "crmeval",
        "crmeval",
        "calls, a durable record of each call, four ratings per sample read and aggregated, "
        "the run folder with its tables",
        work,
    )
