// The official library for JavaScript.
import { ADDRESS, ECHO, KEY, NAME, PARALLEL, RESULT, SAID, SYSTEM, check, dataIsWhole, left, load, raised, run, seen, until, whole } from "./trial.mjs";

const { default: OpenAI } = await load("openai");
const { zodResponseFormat, zodTextFormat } = await load("openai/helpers/zod");
const { z } = await load("zod");

const Caller = z.object({ name: z.string(), phone: z.string(), email: z.string(), iban: z.string() });
const fields = Object.fromEntries(["name", "phone", "email", "iban"].map((k) => [k, { type: "string" }]));
const TOOL = { name: "find_customer", parameters: { type: "object", properties: fields } };
const TOOLS = ["find_customer", "open_case"].map((name) => ({ type: "function", function: { ...TOOL, name } }));
const messages = [{ role: "system", content: SYSTEM }, { role: "user", content: SAID }];
const client = (more) => new OpenAI({ baseURL: ADDRESS, apiKey: KEY, maxRetries: 0, ...more });
const chat = (more) => client().chat.completions.create({ model: ECHO, messages, ...more });

async function joined(stream) {
  let shown = "";
  for await (const part of stream) shown += part.choices[0]?.delta?.content ?? "";
  return shown;
}

await run("openai", {
  whole: async () => check((await chat({ seed: 1, user: "u" })).choices[0].message.content === SAID),
  streamed: async () => {
    check((await joined(await chat({ stream: true }))) === SAID);
    check((await joined(await chat({ stream: true, stream_options: { include_usage: true } }))) === SAID);
  },
  "stream helper": async () => {
    const stream = client().chat.completions.stream({ model: PARALLEL, messages, tools: TOOLS });
    const done = await stream.finalChatCompletion();
    for (const call of done.choices[0].message.tool_calls) dataIsWhole(JSON.parse(call.function.arguments));
    check(done.choices[0].message.tool_calls.length === 2);
  },
  "tool runner": async () => {
    const given = [];
    const run = (name) => ({
      type: "function",
      function: { ...TOOL, name, parse: JSON.parse, function: (x) => (given.push(x), RESULT) },
    });
    const runner = client().chat.completions.runTools({ model: PARALLEL, messages, tools: [run("find_customer"), run("open_case")] });
    whole(await runner.finalContent());
    given.forEach(dataIsWhole);
    check(given.length === 2, given);
  },
  schema: async () => {
    const done = await client().chat.completions.parse({ model: ECHO, messages, response_format: zodResponseFormat(Caller, "caller") });
    dataIsWhole(done.choices[0].message.parsed);
  },
  responses: async () => {
    const done = await client().responses.create({ model: ECHO, input: SAID, instructions: SYSTEM });
    check(done.output_text === SAID);
    const stream = client().responses.stream({ model: ECHO, input: SAID });
    let shown = "";
    stream.on("response.output_text.delta", (e) => (shown += e.delta));
    check((await stream.finalResponse()).output_text === SAID && shown === SAID);
    const parsed = await client().responses.parse({ model: ECHO, input: SAID, text: { format: zodTextFormat(Caller, "caller") } });
    dataIsWhole(parsed.output_parsed);
  },
  "responses tools": async () => {
    const tools = [{ type: "function", ...TOOL, strict: false }];
    const input = [{ role: "user", content: SAID }];
    const done = await client().responses.create({ model: ECHO, input, tools });
    dataIsWhole(JSON.parse(done.output[0].arguments));
    input.push(...done.output, { type: "function_call_output", call_id: done.output[0].call_id, output: RESULT });
    whole((await client().responses.create({ model: ECHO, input, tools })).output_text);
  },
  "errors have their class": async () => {
    for (const [model, kind, word] of [
      ["busy", OpenAI.RateLimitError, "too many requests"],
      ["down", OpenAI.InternalServerError, "HTTP 500"],
      ["refuses", OpenAI.BadRequestError, "HTTP 400"],
      ["nobody", OpenAI.NotFoundError, "nobody"],
    ])
      await raised((e) => e instanceof kind, () => chat({ model }), word);
    await raised((e) => e.param === "logprobs", () => chat({ logprobs: true }), "logprobs");
  },
  "retries after 429": async () => {
    const done = await client({ maxRetries: 3 }).chat.completions.create({ model: "busy", messages });
    check(done.choices[0].message.content === SAID && (await seen()).length === 3);
  },
  "a stream that breaks off": async () => {
    const long = [{ role: "user", content: SAID.repeat(4) }];
    await raised((e) => e instanceof OpenAI.APIError, async () => joined(await chat({ model: "cut", messages: long, stream: true })));
  },
  "leaving a stream": async () => {
    const stream = await chat({ model: "drip", messages: [{ role: "user", content: SAID.repeat(4) }], stream: true });
    for await (const _ of stream) break;
    stream.controller.abort();
    await until(async () => (await left()) === 1);
  },
  "time out": async () => {
    await raised((e) => e instanceof OpenAI.APIConnectionTimeoutError, () => client({ timeout: 1000 }).chat.completions.create({ model: "slow", messages }));
    await until(async () => (await left()) === 1);
  },
});
