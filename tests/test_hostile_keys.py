"A key or password in a setting: absent from every written plan, whichever setting holds it."

import random
import string

import pytest

from crmeval.cli.app import main
from crmeval.runs.plan import kinds, make_plan, plan_text, read_plan, settings

_PLAIN = {"limit": 3}


def _secret(seed):
    draw = random.Random(seed)
    return "".join(draw.choice(string.ascii_lowercase) for _ in range(9))


def _addresses(secret):
    return [
        f"http://ann:{secret}@h.example/v1",
        f"https://{secret}@h.example/v1",
        f"postgres://ann:{secret}@h.example/x",
        f"https://h.example/v1?x=1&api_key={secret}",
        f"https://h.example/v1?token={secret}",
    ]


def _texts():
    "Return the names of the settings that may hold an address."
    return [
        n for n, (kind, _) in kinds().items() if kind in (str, list, object) and not settings()[n].choices
    ]


@pytest.mark.parametrize("name", _texts())
def test_a_written_plan_holds_no_secret_in_any_setting(name, tmp_path):
    secret = _secret(name)
    for address in _addresses(secret):
        for given_value in (address, f"openai:m@{address}"):
            value = [given_value] if kinds()[name][0] is list else given_value
            text = plan_text(make_plan({**_PLAIN, name: value}))
            assert secret not in text
            (tmp_path / "p.yaml").write_text(text)
            back = read_plan(tmp_path / "p.yaml")
            assert back["limit"] == 3 and "[a key]" in str(back[name])


def test_a_plan_without_its_key_runs_with_the_setting_said_again(tmp_path, capsys):
    secret, file = _secret(1), tmp_path / "p.yaml"
    words = ["--base-url", f"http://ann:{secret}@127.0.0.1:9/v1"]
    assert main(["plan", "--model", "openai:m", *words, "--file", str(file)]) == 0
    printed = capsys.readouterr()
    assert secret not in file.read_text() + printed.out + printed.err and "--base-url" in printed.err
    assert main(["plan", str(file)]) == 2
    printed = capsys.readouterr()
    assert "--base-url" in printed.err and "give this setting again" in printed.err
    assert main(["plan", str(file), *words]) == 0
    printed = capsys.readouterr()
    assert secret not in printed.out + printed.err


@pytest.mark.parametrize("where", ["--base-url", "--judge-base-url", "--model", "--judge"])
def test_what_stands_behind_a_sharp_sign_is_refused_and_not_repeated(where, tmp_path, capsys):
    secret = _secret(where)
    url = f"http://127.0.0.1:9/v1#{secret}"
    line = [where, f"openai:m@{url}" if where in ("--model", "--judge") else url]
    for command in (["plan", "-v"], ["run", "-v", "--dry-run"]):
        code = main([*command, "--model", "openai:m", "--judge", "openai:j", *line])
        printed = capsys.readouterr()
        assert code == 2 and secret not in printed.out + printed.err and "'#'" in printed.err
