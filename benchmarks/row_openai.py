"The bare openai SDK over its aiohttp transport. No records, no retries, nothing on disk."

import asyncio

import openai
from common import keys, row, scored


async def _work(url, first, n, concurrency):
    async with openai.AsyncOpenAI(
        base_url=url, http_client=openai.DefaultAioHttpClient(), max_retries=0
    ) as client:

        async def ask(model, prompt):
            answer = await client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": prompt}], temperature=0
            )
            return answer.choices[0].message.content

        return await scored(ask, first, n, concurrency)


def work(*args):
    return asyncio.run(_work(*args))


if __name__ == "__main__":
    keys()
    row(__doc__, "bare openai SDK", "openai", "calls, reading the JSON", work)
