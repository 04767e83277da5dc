"RAGAS: an @experiment, generations with the openai SDK, scores with one DiscreteMetric; results in memory."

import asyncio

from common import QUESTION, conversation, keys, row, task

keys()  # read at import, so set before
import openai
from ragas import Dataset, experiment
from ragas.llms import llm_factory
from ragas.metrics import DiscreteMetric


async def _work(url, first, n, concurrency):
    async with openai.AsyncOpenAI(
        base_url=url, max_retries=0, http_client=openai.DefaultAioHttpClient()
    ) as client:
        llm = llm_factory("judge", client=client)
        metric = DiscreteMetric(
            name="faithful",
            allowed_values=["pass", "fail"],
            prompt=QUESTION + "\n\nConversation:\n{source}\n\nSummary:\n{response}\n\nAnswer pass or fail.",
        )
        generations, judgements = (
            asyncio.Semaphore(concurrency),
            asyncio.Semaphore(concurrency),
        )  # @experiment itself has no limit

        @experiment()
        async def summarise(item):
            async with generations:
                answer = await client.chat.completions.create(
                    model="generator", messages=[{"role": "user", "content": item["task"]}], temperature=0
                )
            text = answer.choices[0].message.content
            async with judgements:
                score = await metric.ascore(llm=llm, source=item["source"], response=text)
            return {"id": item["id"], "response": text, "value": score.value, "reason": score.reason}

        data = Dataset(
            name="invented",
            backend="inmemory",
            data=[
                {"id": f"c{i}", "task": task(i), "source": conversation(i)} for i in range(first, first + n)
            ],
        )
        done = await summarise.arun(data, name=f"run-{first}-{n}")
        return sum(item["value"] in ("pass", "fail") for item in done)


def work(*args):
    return asyncio.run(_work(*args))


if __name__ == "__main__":
    row(__doc__, "RAGAS", "ragas", "calls, one value per sample, results in memory", work)
