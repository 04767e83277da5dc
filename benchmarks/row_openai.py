"The bare openai SDK over its aiohttp transport. No records, no retries, nothing on disk."

import asyncio
import json

import openai
from common import judge_prompt, keys, pipelined, row, task


async def _work(url, first, n, concurrency):
    async with openai.AsyncOpenAI(
        base_url=url, http_client=openai.DefaultAioHttpClient(), max_retries=0
    ) as client:

        async def ask(model, prompt):
            answer = await client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": prompt}], temperature=0
            )
            return answer.choices[0].message.content

        async def generate(i):
            return await ask("generator", task(i))

        async def judge(i, answer):
            return json.loads(await ask("judge", judge_prompt(i, answer)))["score"]

        return sum(
            score is not None
            for _, score in await pipelined(range(first, first + n), concurrency, generate, judge)
        )


def work(*args):
    return asyncio.run(_work(*args))


if __name__ == "__main__":
    keys()
    row(__doc__, "bare openai SDK", "openai", "calls, reading the JSON", work)
