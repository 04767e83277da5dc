"A bare aiohttp client: the limit of machine and endpoint. No records, no retries, nothing on disk."

import asyncio
import json

import aiohttp
from common import keys, row, scored


async def _work(url, first, n, concurrency):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(model, prompt):
            body = json.dumps(
                {"model": model, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
            ).encode()
            async with session.post(
                url + "/chat/completions", data=body, headers={"content-type": "application/json"}
            ) as answer:
                answer.raise_for_status()
                return json.loads(await answer.read())["choices"][0]["message"]["content"]

        return await scored(ask, first, n, concurrency)


def work(*args):
    return asyncio.run(_work(*args))


if __name__ == "__main__":
    keys()
    row(__doc__, "bare aiohttp", "aiohttp", "calls, reading the JSON", work)
