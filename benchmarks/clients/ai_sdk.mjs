// Vercel's AI SDK with the provider for OpenAI (responses and chat) and the one for compatible servers.
import { ADDRESS, ECHO, KEY, NAME, PARALLEL, RESULT, SAID, SYSTEM, check, dataIsWhole, left, load, raised, run, seen, until, whole } from "./trial.mjs";

const { generateObject, generateText, streamObject, streamText, stepCountIs, tool, Output } = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
const { z } = await load("zod");

const schema = z.object({ name: z.string(), phone: z.string(), email: z.string(), iban: z.string() });
const openai = createOpenAI({ baseURL: ADDRESS, apiKey: KEY });
const compatible = createOpenAICompatible({ name: "gateway", baseURL: ADDRESS, apiKey: KEY, includeUsage: true, supportsStructuredOutputs: true });
const plain = createOpenAICompatible({ name: "gateway", baseURL: ADDRESS, apiKey: KEY });
const ways = { responses: (n) => openai(n), chat: (n) => openai.chat(n), compatible: (n) => compatible(n) };
const base = { system: SYSTEM, prompt: SAID, maxRetries: 0 };

function tools() {
  const given = [];
  const made = (names) =>
    tool({ description: "Finds.", inputSchema: schema.pick(names), execute: async (x) => (given.push(x), JSON.parse(RESULT)) });
  const held = { find_customer: made({ name: true, phone: true, email: true }), open_case: made({ name: true, iban: true }) };
  return [held, given];
}

const trials = {};
for (const [way, model] of Object.entries(ways)) {
  trials[`text by ${way}`] = async () => {
    const done = await generateText({ ...base, model: model(ECHO), temperature: 0.3, seed: 3 });
    check(done.text === SAID && done.usage.totalTokens === 120, done.text, done.usage);
    check(done.finishReason === "stop", done.finishReason);
  };
  trials[`stream by ${way}`] = async () => {
    const done = streamText({ ...base, model: model(ECHO), onError: () => {} });
    let shown = "";
    for await (const part of done.textStream) shown += part;
    check(shown === SAID && (await done.finishReason) === "stop", shown);
    check((await done.usage).totalTokens === 120, await done.usage);
  };
  trials[`tool loop by ${way}`] = async () => {
    const [held, given] = tools();
    const done = await generateText({ ...base, model: model(PARALLEL), tools: held, stopWhen: stepCountIs(4) });
    given.forEach(dataIsWhole);
    check(given.length === 2, given);
    whole(done.text);
    const again = [{ role: "user", content: SAID }, ...done.response.messages, { role: "user", content: `${NAME} once more.` }];
    const last = await generateText({ model: model(ECHO), system: SYSTEM, messages: again, maxRetries: 0 });
    check(last.text === `${NAME} once more.`, last.text);
  };
  trials[`tool loop streamed by ${way}`] = async () => {
    const [held, given] = tools();
    const done = streamText({ ...base, model: model(PARALLEL), tools: held, stopWhen: stepCountIs(4), onError: () => {} });
    let shown = "";
    for await (const part of done.fullStream) {
      if (part.type === "error") throw part.error;
      if (part.type === "text-delta") shown += part.text;
    }
    given.forEach(dataIsWhole);
    check(given.length === 2, given);
    whole(shown);
  };
  trials[`object by ${way}`] = async () => {
    dataIsWhole((await generateObject({ ...base, model: model(ECHO), schema })).object);
    dataIsWhole((await generateText({ ...base, model: model(ECHO), output: Output.object({ schema }) })).output);
  };
  trials[`object streamed by ${way}`] = async () => {
    const done = streamObject({ ...base, model: model(ECHO), schema, onError: () => {} });
    for await (const _ of done.partialObjectStream);
    dataIsWhole(await done.object);
  };
  trials[`picture by ${way} is refused`] = async () => {
    const content = [{ type: "text", text: SAID }, { type: "image", image: Buffer.from("x"), mediaType: "image/png" }];
    const work = () => generateText({ model: model(ECHO), messages: [{ role: "user", content }], maxRetries: 0 });
    await raised((e) => e.statusCode === 400, work, "content other than text");
    check((await seen()).length === 0);
  };
  trials[`errors by ${way}`] = async () => {
    for (const [name, status] of [["busy", 429], ["down", 502], ["refuses", 400], ["nobody", 404]])
      await raised((e) => e.statusCode === status, () => generateText({ ...base, model: model(name) }));
    const cut = streamText({ ...base, prompt: SAID.repeat(4), model: model("cut"), onError: () => {} });
    let told = null;
    for await (const part of cut.fullStream) if (part.type === "error") told = part.error;
    check(told !== null, "no error");
  };
  trials[`leaving a stream by ${way}`] = async () => {
    const stop = new AbortController();
    const done = streamText({ ...base, prompt: SAID.repeat(4), model: model("drip"), abortSignal: stop.signal, onError: () => {} });
    for await (const _ of done.textStream) {
      stop.abort();
      break;
    }
    await until(async () => (await left()) === 1);
  };
}
trials["retries after 429"] = async () => {
  const done = await generateText({ ...base, maxRetries: 3, model: openai("busy") });
  check(done.text === SAID);
};
trials["object as plain JSON"] = async () => {
  dataIsWhole((await generateObject({ ...base, model: plain(ECHO), schema })).object);
};
await run("ai", trials);
