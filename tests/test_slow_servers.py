"Slow servers: fewer concurrent calls, no retry at the same load, and a hint for the user."

import asyncio
import contextlib
import json
import time

import pytest
from aiohttp import web

from crmeval.core.calls import CallFailed, timed_out
from crmeval.core.records import Sample
from crmeval.runs.evaluation import run
from crmeval.runs.journal import Journal
from crmeval.runs.progress import Watch, shown_s
from crmeval.runs.runner import answer_all
from crmeval.runs.traffic import ALONE, Lane, Traffic, sign_of
from crmeval.systems.openai import OpenAIClient


class SlowServer:
    "A server that does one answer at a time; `forgets`: it stops when the caller disconnects, as llama.cpp."

    def __init__(self, each_s, forgets=True, fails_first=0):
        self.each_s, self.forgets, self.turn, self.fails_first = each_s, forgets, asyncio.Lock(), fails_first
        self.open, self.most_open, self.calls = 0, 0, 0

    async def answer(self, request):
        await request.json()
        self.calls, self.open = self.calls + 1, self.open + 1
        self.most_open = max(self.most_open, self.open)
        try:
            work = asyncio.ensure_future(self.work())
            await (work if self.forgets else asyncio.shield(work))
        finally:
            self.open -= 1
        message = {"role": "assistant", "content": "The line is dead."}
        usage = {"prompt_tokens": 9, "completion_tokens": 4}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    async def work(self):
        async with self.turn:
            await asyncio.sleep(self.each_s)


@contextlib.asynccontextmanager
async def serving(server):
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"
    finally:
        await runner.cleanup()


def samples(n):
    transcript = "Caller: My line is dead."
    return [Sample(f"s{i}", "service_call_summary", {"transcript": f"{transcript} {i}"}) for i in range(n)]


async def short_pause(seconds):
    await asyncio.sleep(seconds / 10)


async def asked(server, n, *, timeout_s, concurrency=8, **options):
    "Return the rows of n samples, the traffic summary, and the messages."
    notes, traffic = [], Traffic(concurrency)
    async with serving(server) as url:
        client = OpenAIClient("m", base_url=url, timeout_s=timeout_s)
        answering = answer_all(
            samples(n), [client], concurrency=concurrency, traffic=traffic, sleep=short_pause, **options
        )
        rows = await answering
    notes += traffic.notes()
    return [r for r, _ in rows], traffic.summary()[0], notes


@pytest.mark.parametrize("concurrency", [2, 8, 16])
@pytest.mark.parametrize("forgets", [True, False])
def test_everything_is_answered_by_a_server_that_works_one_at_a_time(concurrency, forgets):
    server = SlowServer(0.03, forgets)
    rows, lane, _ = asyncio.run(asked(server, 24, timeout_s=0.25, concurrency=concurrency))
    assert [r.status for r in rows] == ["ok"] * 24
    assert lane["slow"] <= 2 * concurrency and server.calls <= 24 + 2 * concurrency, lane
    assert lane["state"] == "open"


def test_what_ran_out_of_time_is_not_sent_again_in_the_same_company():
    open_at = []

    class Counting(SlowServer):
        async def work(self):
            open_at.append(self.open)
            await super().work()

    rows, lane, _ = asyncio.run(asked(Counting(0.05), 16, timeout_s=0.18))
    assert [r.status for r in rows] == ["ok"] * 16
    assert max(open_at[:8]) >= 6 and max(open_at[-6:]) <= 4 and lane["lowest_limit"] <= 2


def test_a_quick_server_is_left_alone():
    server = SlowServer(0.0)
    rows, lane, notes = asyncio.run(asked(server, 60, timeout_s=30))
    assert {r.status for r in rows} == {"ok"} and notes == []
    assert (lane["slow"], lane["busy"], lane["most_in_flight"]) == (0, 0, 8)


def test_what_helps_is_told_once_and_in_both_languages():
    _, _, notes = asyncio.run(asked(SlowServer(0.05), 24, timeout_s=0.2))
    assert 1 <= len(notes) <= 3 and len(notes) == len(set(notes))
    for word in ("--timeout (timeout_s)", "--concurrency (concurrency)", "--max-tokens (max_tokens)"):
        assert any(word in note for note in notes), word


def test_a_server_that_hangs_is_given_up_soon_with_the_reason():
    server = SlowServer(60)
    start = time.perf_counter()
    rows, lane, _ = asyncio.run(asked(server, 40, timeout_s=0.05))
    assert time.perf_counter() - start < 5
    assert lane["state"] == "down" and server.calls <= 8 + 2 * ALONE
    unasked = [r for r in rows if r.status == "not_run"]
    assert len(unasked) >= 20 and "too slow" in unasked[-1].error and "--timeout" in unasked[-1].error
    assert {r.status for r in rows} == {"api_error", "not_run"}


def test_alone_a_call_is_tried_twice_more_and_not_five_times():
    server = SlowServer(60)
    rows, _, _ = asyncio.run(asked(server, 1, timeout_s=0.05, concurrency=1, retries=4))
    assert server.calls == 3 and rows[0].status == "api_error"
    assert "what helps" in rows[0].error and "--concurrency" not in rows[0].error


def test_a_call_that_hangs_by_chance_is_answered_by_the_second_try():
    class Once(SlowServer):
        async def work(self):
            await asyncio.sleep(60 if self.calls == 1 else 0)

    rows, lane, _ = asyncio.run(asked(Once(0), 3, timeout_s=0.1, concurrency=1))
    assert [r.status for r in rows] == ["ok"] * 3 and lane["slow"] == 1


def test_a_run_says_it_in_its_manifest_and_finishes(tmp_path):
    async def whole():
        async with serving(SlowServer(0.05)) as url:
            return await asyncio.to_thread(
                run,
                "openai:m",
                base_url=url,
                data=samples(12),
                timeout_s=0.2,
                retries=6,
                out=tmp_path / "r",
                progress=False,
            )

    done = asyncio.run(whole())
    assert {r.status for r in done.responses} == {"ok"}
    assert any("is slow" in w and "--timeout" in w for w in done.manifest.warnings)
    assert json.loads((tmp_path / "r" / "manifest.json").read_text())["traffic"][0]["slow"] >= 1


# The concurrency control alone


def late(timeout_s=1):
    try:
        try:
            raise asyncio.TimeoutError
        except asyncio.TimeoutError:
            raise CallFailed(f"no complete answer within {timeout_s} s", retryable=True) from None
    except CallFailed as failure:
        return failure


@pytest.mark.parametrize(
    "failure, sign",
    [
        (late(), "slow"),
        (CallFailed("gateway", http_status=504, retryable=True), "slow"),
        (CallFailed("too long", http_status=408, retryable=True), "slow"),
        (CallFailed("a time-out of a proxy", http_status=524, retryable=True), "slow"),
        (CallFailed("wait", http_status=429, retryable=True), "busy"),
        (CallFailed("overloaded", http_status=529, retryable=True), "busy"),
        (CallFailed("connection failed", retryable=True), "dead"),
        (CallFailed("broken", http_status=500, retryable=True), "dead"),
        (CallFailed("no", http_status=400), "alive"),
    ],
)
def test_signs(failure, sign):
    assert (sign_of(failure), timed_out(failure)) == (sign, sign == "slow")


def test_a_connection_that_does_not_come_about_is_not_slow():
    class ConnectTimeout(TimeoutError):
        pass

    try:
        try:
            raise ConnectTimeout
        except ConnectTimeout:
            raise CallFailed("connection failed", retryable=True) from None
    except CallFailed as failure:
        assert sign_of(failure) == "dead"


def lane_with(in_flight, most=16, patience_s=10.0):
    lane = Lane(most, "m", patience_s=patience_s)
    lane.limit, lane.in_flight, lane.sent, lane.fresh = float(most), in_flight, in_flight, False
    return lane


def test_the_limit_is_halved_once_for_calls_that_were_in_flight_together():
    lane = lane_with(16)
    lane.came = 100
    for number in range(1, 17):
        lane.failed(number, late())
    assert lane.limit == 8 and lane.slow == 16


@pytest.mark.parametrize("in_time, limit", [(0, 1), (1, 1), (3, 3), (7, 7), (8, 8), (12, 8)])
def test_the_limit_is_no_more_than_came_in_time(in_time, limit):
    lane = lane_with(16)
    for number in range(1, in_time + 1):
        lane.passed(number, 4.0)
    lane.failed(16, late())
    assert lane.limit == limit


@pytest.mark.parametrize(
    "took_s, limit",
    [(1.0, "opens"), (2.4, "opens"), (2.6, "stays"), (4.9, "stays"), (5.1, "halves"), (9.9, "halves")],
)
def test_an_answer_that_nearly_came_too_late_narrows_the_lane(took_s, limit):
    lane = lane_with(8)
    lane.limit = lane.high = 8.0
    lane.passed(8, took_s)
    assert {"opens": lane.limit > 8, "stays": lane.limit == 8, "halves": lane.limit == 4}[limit]


def test_it_opens_by_one_slot_a_round_after_a_slow_sign():
    lane = lane_with(16)
    lane.came = 100
    lane.failed(16, late())
    lane.sent = 40
    for number in range(17, 25):
        lane.passed(number, 0.1)
    assert 8.8 < lane.limit < 9.2


def test_without_a_known_time_out_only_time_outs_narrow():
    lane = Lane(8, "m")
    lane.passed(1, 29.0)
    assert lane.notes == {}
    lane.passed(2, 31.0)
    assert "took 31 s" in lane.notes["late"] and lane.limit >= 4


def test_words_of_a_judge():
    lane = Lane(8, "m", whose="judge")
    lane.in_flight = 2
    lane.failed(1, late())
    (note,) = lane.notes.values()
    assert "--judge-timeout (judge_timeout_s)" in note and "--judge-max-tokens (judge_max_tokens)" in note


# Progress


def test_the_estimate_of_a_slow_system_is_not_that_of_a_quick_one():
    now = [0.0]
    watch = Watch({"local": 20, "remote": 20}, timer=lambda: now[0])
    for second in range(1, 11):
        now[0] = float(second)
        for client in ("local", "remote"):
            watch.asking(client)
        watch.answered("remote")
        if second == 10:
            watch.answered("local")
    assert watch.left_s("local") > 15 * watch.left_s("remote") > 0
    assert str(watch).startswith("local 1/20, about ")


def test_recorded_answers_do_not_shorten_the_estimate():
    now = [0.0]
    watch = Watch({"m": 100}, timer=lambda: now[0])
    for _ in range(90):
        watch.answered("m", recorded=True)
    watch.asking("m")
    now[0] = 10.0
    watch.answered("m")
    assert watch.left_s("m") == 90.0


def test_many_systems_are_not_all_named():
    watch = Watch({f"m{i}": 5 for i in range(9)})
    for i in range(9):
        watch.asking(f"m{i}")
    assert str(watch).count("m") >= 3 and str(watch).endswith("6 more")


@pytest.mark.parametrize(
    "seconds, words", [(0, "1 s"), (59, "59 s"), (120, "2 min"), (5400, "1.5 h"), (36000, "10.0 h")]
)
def test_lengths_of_time(seconds, words):
    assert shown_s(seconds) == words


def test_the_heart_beats_while_nothing_is_finished(monkeypatch, capsys):
    from crmeval.runs import progress

    monkeypatch.setattr(progress, "_HEARTBEAT_S", (0.05, 0.05))

    async def work():
        async with serving(SlowServer(0.5)) as url:
            await answer_all(samples(1), [OpenAIClient("m", base_url=url)], progress=True)

    asyncio.run(work())
    shown = capsys.readouterr().err
    assert shown.count("waiting 1 s for the first answer") >= 2


def test_the_journal_of_a_judge_stays_small(tmp_path):
    from test_judge_bounds import reply_with_alternatives

    from crmeval.core.loops import run_sync
    from crmeval.judges.llm import LLMJudge
    from crmeval.runs.areas import make_scorer
    from crmeval.systems.responders import make_baseline

    class Sure(OpenAIClient):
        "Rates every criterion with three points, with alternatives for every token."

        async def chat(self, messages, **options):
            from crmeval.core.calls import Completion
            from crmeval.core.loops import ROUTE

            async def call():
                listed = messages[1]["content"].split("The scale")[0]
                names = [line[2:].partition(":")[0] for line in listed.splitlines() if line.startswith("- ")]
                tokens = reply_with_alternatives([3] * len(names), 120)
                text = "".join(t["token"] for t in tokens)
                entries = [f'{{"criterion": "{n}", {part[1:]}' for n, part in zip(names, text.split("}"))]
                joined = '{"ratings": [' + ", ".join(f"{e}}}" for e in entries) + "]}"
                completion = Completion(joined, logprobs=tokens)
                return completion

            return await ROUTE.get()(self, {"model": self.model, "messages": messages, **options}, call)

    judge = LLMJudge("m", client=Sure("m", base_url="http://localhost:1/v1"), style="rubric")
    sample = samples(1)[0]
    sizes = []
    for _ in range(2):
        rows = run_sync(
            answer_all([sample], [make_baseline("lead")], journal=tmp_path / "j", scorer=make_scorer(judge))
        )
        sizes.append((tmp_path / "j").stat().st_size)
        assert {s.status for s in rows[0][1] if s.metric == "factuality"} == {"ok"}, rows[0][1]
    assert max(sizes) < 30_000
    with contextlib.closing(Journal(tmp_path / "j")) as journal:
        (found,) = [value for _, value in journal.each("call")]
    assert 0 < len(found.logprobs) < 20
