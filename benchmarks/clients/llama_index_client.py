"LlamaIndex with OpenAILike."

import openai
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from trial import (
    ADDRESS,
    ECHO,
    GIVEN,
    KEY,
    SAID,
    SYSTEM,
    Caller,
    data_is_whole,
    find_customer,
    raised,
    run,
    seen,
    whole,
)

TOOL = FunctionTool.from_defaults(find_customer)
MESSAGES = [ChatMessage(role="system", content=SYSTEM), ChatMessage(role="user", content=SAID)]


def model(name=ECHO, **options):
    told = {"api_base": ADDRESS, "api_key": KEY, "is_chat_model": True, "is_function_calling_model": True}
    return OpenAILike(model=name, **{**told, "max_retries": 0, "context_window": 8000, **options})


def chat():
    assert model().chat(MESSAGES).message.content == SAID


def complete():
    assert model().complete(SAID).text == SAID


def streamed():
    assert "".join(p.delta or "" for p in model().stream_chat(MESSAGES)) == SAID


async def asynchronous():
    assert (await model().achat(MESSAGES)).message.content == SAID


def tools():
    done = model().chat_with_tools([TOOL], user_msg=SAID)
    for call in model().get_tool_calls_from_response(done):
        data_is_whole(call.tool_kwargs)


def predicted_and_called():
    GIVEN.clear()
    whole(str(model().predict_and_call([TOOL], user_msg=SAID)))
    data_is_whole(GIVEN[0])


async def agent():
    GIVEN.clear()
    done = await FunctionAgent(tools=[TOOL], llm=model(), system_prompt=SYSTEM).run(SAID)
    whole(str(done))
    data_is_whole(GIVEN[0])


def structured():
    data_is_whole(model().as_structured_llm(Caller).chat(MESSAGES).raw)
    data_is_whole(model(should_use_structured_outputs=True).as_structured_llm(Caller).chat(MESSAGES).raw)


def picture_is_refused():
    parts = [TextBlock(text=SAID), ImageBlock(url="https://x.example/a.png")]
    raised(
        openai.BadRequestError,
        lambda: model().chat([ChatMessage(role="user", blocks=parts)]),
        "messages[0].content",
    )
    assert not seen()


def errors():
    raised(openai.InternalServerError, lambda: model("down").chat(MESSAGES), "HTTP 500")
    raised(
        openai.BadRequestError, lambda: model(additional_kwargs={"logprobs": True}).chat(MESSAGES), "logprobs"
    )


TRIALS = [chat, complete, streamed, asynchronous, tools, predicted_and_called, agent, structured]
TRIALS += [picture_is_refused, errors]

if __name__ == "__main__":
    run("llama-index-llms-openai-like", TRIALS)
