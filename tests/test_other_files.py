"Files with an Inspect log's extension that are none: the error says so, with or without Inspect."

import zipfile

import pytest

from crmeval.cli.app import main

NO_LOGS = {
    "answers.json": b'[{"sample_id": "1", "text": "Fine."}]',
    "one.json": b'{"sample_id": "1", "text": "Fine."}',
    "blank.json": b" \n",
    "binary.json": bytes(range(256)),
    "text.eval": b"just text",
    "empty.eval": b"",
    "log.eval": b'{"version": 2, "eval": {}}',
}


@pytest.mark.parametrize("name", NO_LOGS)
def test_what_is_no_log_is_not_blamed_on_a_missing_package(tmp_path, capsys, name):
    (tmp_path / name).write_bytes(NO_LOGS[name])
    words = ["run", "--model", f"replay:{tmp_path / name}", "--limit", "1", "--out", str(tmp_path / "run")]
    assert main([*words, "--use-case", "service_call_summary"]) == 2
    errors = capsys.readouterr().err
    assert (
        f"{name} is not an Inspect log" in errors
        and ".jsonl or .csv" in errors
        and "pip install" not in errors
    )


def test_what_may_be_a_log_goes_to_inspect(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as z:
        z.writestr("header.json", "{}")
    (tmp_path / "a.json").write_text('\ufeff\n{"version": 2, "status": "success", "eval": {}}', "utf-8")
    for name in ("a.eval", "a.json"):
        assert main(["run", "--model", f"replay:{tmp_path / name}", "--limit", "1"]) == 2
        assert "is not an Inspect log" not in capsys.readouterr().err
