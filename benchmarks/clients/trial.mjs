// What all trials in JavaScript share; the same values as in trial.py.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export const { GATEWAY_ADDRESS: ADDRESS, GATEWAY_KEY: KEY, MODEL_ENDPOINT: ENDPOINT } = process.env;
export const ECHO = process.env.ECHO ?? "echo", PARALLEL = process.env.PARALLEL ?? "parallel";
export const NAME = "Marisol Quintero";
const PHONE = "+49 30 5550 0134", MAIL = "marisol.quintero@mail.example", IBAN = "DE89 3704 0044 0532 0130 00";
const VALUES = { name: NAME, phone: PHONE, email: MAIL, iban: IBAN };
export const SYSTEM = "You help our colleague Tobias Lindqvist at the claims desk.";
export const SAID =
  `My name is ${NAME}. Call me at ${PHONE} or write to ${MAIL}. My IBAN is ${IBAN}. The router is dead.`;
export const RESULT = JSON.stringify({ ...VALUES, open_cases: 2 });
const CLEAR = ["Marisol", "Quintero", "5550 0134", "55500134", "marisol.q", "0532 0130", "05320130", "Lindqvist"];

const folder = process.cwd();
const require = createRequire(join(folder, "x.js"));
export const load = async (name) => import(pathToFileURL(require.resolve(name)));
const version = (name) =>
  JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")).version;

export const seen = async () => (await (await fetch(`${ENDPOINT}/seen`)).json()).seen.map((s) => JSON.parse(s));
export const left = async () => (await (await fetch(`${ENDPOINT}/seen`)).json()).left;

export function check(holds, ...what) {
  if (!holds) throw new Error(`expected otherwise: ${JSON.stringify(what)}`.slice(0, 500));
}

export function whole(text, ...values) {
  for (const value of values.length ? values : Object.values(VALUES)) check(String(text).includes(value), text);
}

export function dataIsWhole(data) {
  const keys = Object.keys(VALUES).filter((key) => key in data);
  check(keys.length > 0, data);
  for (const key of keys) check(data[key] === VALUES[key], key, data[key]);
}

export async function raised(check_, work, ...words) {
  let got = null;
  try {
    await work();
  } catch (e) {
    got = e;
  }
  check(got !== null, "nothing was raised");
  const text = `${got.name} ${got.message} ${got.lastError?.message ?? ""}`;
  check(check_(got) && words.every((w) => text.includes(w)), got.name, text);
  return got;
}

export async function until(holds, seconds = 5) {
  const ends = Date.now() + 1000 * seconds;
  while (!(await holds()) && Date.now() < ends) await new Promise((r) => setTimeout(r, 50));
  check(await holds(), "until");
}

export async function run(name, trials) {
  for (const [trial, work] of Object.entries(trials)) {
    if (process.argv[2] && !trial.includes(process.argv[2])) continue;
    if (process.env.STREAM === "hold" && trial.startsWith("leaving")) continue; // nothing is shown that could be left
    await fetch(`${ENDPOINT}/forget`, { method: "POST" });
    const begun = Date.now();
    let why = "";
    try {
      const late = new Promise((_, no) => setTimeout(() => no(new Error("no end within 60 s")), 60000).unref());
      await Promise.race([work(), late]);
      const bodies = JSON.stringify(await seen());
      const found = CLEAR.filter((word) => bodies.includes(word));
      if (found.length) throw new Error(`in clear at the model: ${found}`);
    } catch (e) {
      if (process.env.TRACE) console.error(e);
      why = `${e.name}: ${e.message}`.slice(0, 600);
    }
    const row = { package: `${name} (npm)`, version: version(name), trial, holds: !why, why };
    console.log(JSON.stringify({ ...row, seconds: (Date.now() - begun) / 1000 }));
  }
  process.exit(0);
}
