"Texts of attackers, broken exports or other languages, and a run that consists of nothing else."

import itertools
from dataclasses import replace
from functools import lru_cache

from crmeval.core.evidence import Evidence
from crmeval.core.records import Score
from crmeval.runs.evaluation import run as run_benchmark
from crmeval.runs.folder import Run
from crmeval.tasks.probes import is_probe

HIT = "window.hit=1"
CORPUS = (
    f"<script>{HIT}</script>",
    f"</script></style></title></textarea></pre></table></main><img src=x onerror={HIT}>",
    f"\"'><svg onload={HIT}>` onfocus={HIT} autofocus x=`",
    f"<iframe srcdoc='<script>parent.{HIT}</script>'></iframe><meta http-equiv=refresh content='0;url=http://attacker.example/'>",
    "<base href='http://attacker.example/'><form action=/><button autofocus>Log in</button></form>",
    f"[click](javascript:{HIT}) ![x](http://attacker.example/x.png) <a href=javascript:{HIT}>x</a>",
    "{{777*777}} ${777*777} {% raw %} <%= 777*777 %> {{< include /etc/passwd >}} ```{=html}",
    "<style>*{display:none}</style><!-- <script> ]]> <![CDATA[ &lt;script&gt; &#60;b&#62;",
    "null \x00 bell \x07 escape \x1b[31m\x1b]8;;http://attacker.example\x07 delete \x7f\x85",
    "turned \u202e\u2066 sdrawkcab \u2069 unseen \u200b\u2060\ufeff lines \u2028\u2029 half \ud83d",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd (12.50 \u20aa) "
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645, order 4711",
    "\U0001f469\U0001f3fd\u200d\U0001f680 \U0001f1e9\U0001f1ea \u2764\ufe0f "
    + "\U0001f4a9" * 400
    + " z"
    + "\u0334\u0321\u035c" * 60,
    "x" * 4000,
    "\u6f22" * 1500 + "/" + "a-b_c." * 300,
    "__proto__",
    "constructor",
    '=HYPERLINK("http://attacker.example","refund")',
)
CASES = ["service_call_summary", "service_live_chat_insights"]


def next_texts():
    "Cycle through the texts of the corpus."
    return itertools.cycle(CORPUS)


def _spoiled(sample, texts):
    "Return the sample with hostile inputs and facts; fields that the benchmark reads from a probe stay."
    inputs = {
        k: f"{next(texts)}\n{v}" if k in ("prompt", "transcript") else v for k, v in sample.inputs.items()
    }
    if is_probe(sample):
        return replace(sample, inputs=inputs)
    facts = [f"{next(texts)} {fact}" for fact in sample.key_facts]
    more = {"dataset": next(texts), "reference": next(texts), "cluster": next(texts)}
    return replace(sample, inputs=inputs, key_facts=facts, tags={"shop": next(texts)}, **more)


def _proofs(texts):
    "Return evidence of each kind that a page marks or lists."
    kinds = ("unsupported", "missing", "stated", "overlong", "not followed", "wrong", next(texts))
    quoted = [
        Evidence(k, next(texts), reason=next(texts), quotes=[next(texts)], detail={"nearest": next(texts)})
        for k in kinds
    ]
    odd = [
        Evidence("marked", next(texts), detail={"start": 99, "end": -5}),
        Evidence("missing", next(texts), about="fact"),
    ]
    return [*quoted, *odd]


@lru_cache(maxsize=1)
def real_run(folder):
    "Run two baseline systems, one of them behind the trust layer, on a few samples, probes and twins."
    return run_benchmark(
        ["baseline:sensible", "trusted:baseline:sensible", "baseline:lead"],
        areas=["accuracy", "trust", "protection"],
        use_cases=CASES,
        limit=2,
        out=folder,
        progress=False,
    )


def hostile_run(folder):
    "Return that run with all texts, names and reasons replaced from the corpus, rated by two hostile people."
    run, texts = real_run(folder), next_texts()
    names = {c: f"openai:{next(texts)}" for c in run.clients if not c.startswith("trusted:")}
    names |= {c: f"trusted:{names[c.removeprefix('trusted:')]}" for c in run.clients if c not in names}
    ids = {s.id: s.id if is_probe(s) else f"{next(texts)} {s.id}" for s in run.samples}
    judge = f"openai:{CORPUS[0]}"
    samples = [replace(_spoiled(s, texts), id=ids[s.id]) for s in run.samples]
    responses = [_answered(r, ids, names, texts) for r in run.responses]
    scores = [_scored(s, ids, names, judge, texts) for s in run.scores]
    clients = [{**c, "name": names[c["name"]], "model": next(texts)} for c in run.manifest.clients]
    options = {"crmeval": CORPUS[1], "python": CORPUS[2], "warnings": list(CORPUS), "git_revision": CORPUS[8]}
    manifest = replace(run.manifest, clients=clients, judge={"name": judge}, more={"x": CORPUS[0]}, **options)
    return Run(run.folder, manifest, samples, responses, [*scores, *_by_people(scores)])


def _answered(response, ids, names, texts):
    more = {"sample_id": ids[response.sample_id], "client": names[response.client], "model": next(texts)}
    lost = response.status != "ok"
    text = None if lost else f"{next(texts)} {response.text} {next(texts)}"
    return replace(response, text=text, error=next(texts) if lost else None, latency_s=1.0, **more)


def _scored(score, ids, names, judge, texts):
    more = {"sample_id": ids[score.sample_id], "client": names[score.client], "reason": next(texts)}
    rater = judge if score.rater == "embedded" else score.rater
    proofs = _proofs(texts) if score.metric == "factuality" else score.evidence
    return replace(score, rater=rater, evidence=proofs, **more)


def _by_people(scores):
    rated = [s for s in scores if s.points is not None and s.metric in ("factuality", "completeness")]
    people = [CORPUS[0], CORPUS[9]]
    return [
        Score(
            s.metric,
            max(1.0, s.points - (n % 2)),
            rater=person,
            method="manual",
            reason=CORPUS[n % len(CORPUS)],
            sample_id=s.sample_id,
            client=s.client,
            use_case=s.use_case,
        )
        for n, s in enumerate(rated)
        if not s.perturbation
        for person in people
    ]
