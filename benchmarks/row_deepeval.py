"""DeepEval: generations with the openai SDK, then evaluate() with one GEval metric with given steps.

Its own files go to a temporary folder.
"""

import asyncio
import os
import tempfile

from common import QUESTION, conversation, keys, row, task

keys()  # read at import, so set before
os.chdir(tempfile.mkdtemp(prefix="deepeval-"))  # it writes its own folder into the working directory
import openai
from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig, ErrorConfig
from deepeval.metrics import GEval
from deepeval.models import GPTModel
from deepeval.test_case import LLMTestCase, SingleTurnParams


async def _generate(url, numbers, concurrency):
    at_once = asyncio.Semaphore(concurrency)
    async with openai.AsyncOpenAI(
        base_url=url, max_retries=0, http_client=openai.DefaultAioHttpClient()
    ) as client:

        async def one(i):
            async with at_once:
                answer = await client.chat.completions.create(
                    model="generator", messages=[{"role": "user", "content": task(i)}], temperature=0
                )
            return LLMTestCase(
                name=f"c{i}", input=conversation(i), actual_output=answer.choices[0].message.content
            )

        return await asyncio.gather(*map(one, numbers))


def work(url, first, n, concurrency):
    cases = asyncio.run(_generate(url, range(first, first + n), concurrency))
    model = GPTModel(
        model="judge",
        base_url=url,
        api_key="no-key-needed",
        temperature=0,
        cost_per_input_token=0,
        cost_per_output_token=0,
        async_http_client=openai.DefaultAioHttpClient(),
    )
    metric = GEval(
        name="faithful",
        evaluation_steps=[QUESTION],
        evaluation_params=[SingleTurnParams.INPUT, SingleTurnParams.ACTUAL_OUTPUT],
        model=model,
    )
    done = evaluate(
        cases,
        [metric],
        async_config=AsyncConfig(max_concurrent=concurrency),
        cache_config=CacheConfig(write_cache=False),
        error_config=ErrorConfig(ignore_errors=True),
        display_config=DisplayConfig(show_indicator=False, print_results=False, inspect_after_run=False),
    )
    return sum(
        m.score is not None and m.error is None for r in done.test_results for m in r.metrics_data or ()
    )


if __name__ == "__main__":
    row(
        __doc__,
        "DeepEval",
        "deepeval",
        "calls (generations first, then judgements), one score per sample, results in memory",
        work,
    )
