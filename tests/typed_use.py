"The public names as a user's program calls them: checked for types, never run."

from pathlib import Path

from crmeval import (
    Sample,
    Score,
    completeness,
    conciseness,
    factuality,
    instruction_following,
    leaderboard,
    load_source,
    load_use_case,
    run,
)


def points_of(response: str, source: str, facts: list[str]) -> dict[str, float | None]:
    scores: list[Score] = [
        factuality(response, source=source),
        completeness(response, key_facts=facts),
        conciseness(response, key_facts=facts),
        instruction_following(response, instructions=["At most 80 words."]),
    ]
    return {score.metric: score.points for score in scores}


def unsupported(response: str, source: str) -> list[str]:
    found = factuality(response, source=source)
    return (
        [] if found.status != "ok" else [str(e["text"]) for e in found.evidence if e["kind"] == "unsupported"]
    )


def compare_on_the_demo_set(folder: Path) -> str:
    samples: list[Sample] = load_use_case("service_email_summary")
    done = run(["baseline:lead", "baseline:rules"], data=samples, out=folder, progress=False)
    best = next(iter(leaderboard(done)))
    return f"{best.client}: {best.metrics['accuracy'].value}"


def first_of_a_public_set() -> str | None:
    return next((sample.id for sample in load_source("sgd", limit=1)), None)
