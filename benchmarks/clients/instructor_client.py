"Instructor in its ways of asking for a schema."

import instructor
import openai
from instructor.core.exceptions import InstructorRetryException
from trial import ADDRESS, ECHO, KEY, SAID, SYSTEM, Caller, data_is_whole, raised, run

MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": SAID}]


def held(mode):
    plain = openai.OpenAI(base_url=ADDRESS, api_key=KEY, max_retries=0)
    return instructor.from_openai(plain, mode=getattr(instructor.Mode, mode))


def made(mode):
    data_is_whole(held(mode).chat.completions.create(model=ECHO, messages=MESSAGES, response_model=Caller))


def by_tools():
    made("TOOLS")


def by_strict_tools():
    made("TOOLS_STRICT")


def by_json_schema():
    made("JSON_SCHEMA")


def by_responses_tools():
    made("RESPONSES_TOOLS")


def in_parts():
    *_, last = held("TOOLS").chat.completions.create_partial(
        model=ECHO, messages=MESSAGES, response_model=Caller
    )
    data_is_whole(last)


async def asynchronous():
    plain = openai.AsyncOpenAI(base_url=ADDRESS, api_key=KEY)
    asked = instructor.from_openai(plain)
    data_is_whole(await asked.chat.completions.create(model=ECHO, messages=MESSAGES, response_model=Caller))


def errors():
    ask = {"messages": MESSAGES, "response_model": Caller, "max_retries": 1}
    raised(
        InstructorRetryException,
        lambda: held("TOOLS").chat.completions.create(model="down", **ask),
        "HTTP 500",
    )


TRIALS = [by_tools, by_strict_tools, by_json_schema, by_responses_tools, in_parts, asynchronous, errors]

if __name__ == "__main__":
    run("instructor", TRIALS)
