// LangChain for JavaScript.
import { ADDRESS, ECHO, KEY, NAME, PARALLEL, RESULT, SAID, SYSTEM, check, dataIsWhole, load, raised, run, seen, whole } from "./trial.mjs";

const { ChatOpenAI } = await load("@langchain/openai");
const { HumanMessage, SystemMessage, ToolMessage } = await load("@langchain/core/messages");
const { createAgent, tool } = await load("langchain");
const { z } = await load("zod");

const schema = z.object({ name: z.string(), phone: z.string(), email: z.string(), iban: z.string() });
const messages = [new SystemMessage(SYSTEM), new HumanMessage(SAID)];
const model = (name = ECHO, more = {}) =>
  new ChatOpenAI({ model: name, apiKey: KEY, maxRetries: 0, configuration: { baseURL: ADDRESS }, ...more });
const given = [];
const made = (name, names) =>
  tool(async (x) => (given.push(x), RESULT), { name, description: "Finds.", schema: schema.pick(names) });
const tools = [made("find_customer", { name: true, phone: true, email: true }), made("open_case", { name: true, iban: true })];

async function loop(more) {
  given.length = 0;
  const agent = createAgent({ model: model(PARALLEL, more), tools, systemPrompt: SYSTEM });
  const done = await agent.invoke({ messages: [new HumanMessage(SAID)] });
  check(given.length === 2, given);
  given.forEach(dataIsWhole);
  whole(done.messages.at(-1).text);
  const again = [...done.messages, new HumanMessage(`${NAME} once more.`)];
  check((await model(ECHO, more).invoke(again)).text === `${NAME} once more.`);
}

async function streamed(more) {
  let shown = "";
  for await (const part of await model(ECHO, more).stream(messages)) shown += part.text;
  check(shown === SAID, shown);
}

await run("@langchain/openai", {
  invoke: async () => check((await model().invoke(messages)).text === SAID),
  stream: () => streamed({}),
  batch: async () => check((await model().batch([messages, messages])).every((m) => m.text === SAID)),
  agent: () => loop({}),
  "tools streamed": async () => {
    let out = null;
    for await (const part of await model(PARALLEL).bindTools(tools).stream(messages)) out = out ? out.concat(part) : part;
    check(out.tool_calls.length === 2, out.tool_calls);
    out.tool_calls.forEach((c) => dataIsWhole(c.args));
  },
  "structured output": async () => dataIsWhole(await model().withStructuredOutput(schema).invoke(messages)),
  "structured output by function": async () =>
    dataIsWhole(await model().withStructuredOutput(schema, { method: "functionCalling" }).invoke(messages)),
  responses: async () => check((await model(ECHO, { useResponsesApi: true }).invoke(messages)).text === SAID),
  "responses stream": () => streamed({ useResponsesApi: true }),
  "responses agent": () => loop({ useResponsesApi: true }),
  "responses structured output": async () =>
    dataIsWhole(await model(ECHO, { useResponsesApi: true }).withStructuredOutput(schema).invoke(messages)),
  "picture is refused": async () => {
    const content = [{ type: "text", text: SAID }, { type: "image_url", image_url: { url: "https://x.example/a.png" } }];
    await raised((e) => e.status === 400, () => model().invoke([new HumanMessage({ content })]), "content other than text");
    check((await seen()).length === 0);
  },
  errors: async () => {
    for (const [name, status] of [["busy", 429], ["down", 502], ["refuses", 400], ["nobody", 404]])
      await raised((e) => e.status === status, () => model(name).invoke(messages));
  },
});
