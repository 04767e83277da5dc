"Start the scripted model and the command `crmeval gateway` before it, and run a command against them."

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = (
    "echo",
    "parallel",
    "busy",
    "down",
    "refuses",
    "slow",
    "cut",
    "drip",
    "gpt-5",
    "gpt-5-mini",
    "gpt-4o",
)


@contextlib.contextmanager
def served(stream="sentences", timeout_s=20):
    "Yield the environment of a client: address and key of the gateway, and address of the model's memory."
    key = secrets.token_urlsafe(32)
    policy = {
        "stream": stream,
        "server": {
            "callers": {"app": {"key_env": "APP_KEY", "requests_per_minute": 100000}},
            "timeout_s": timeout_s,
        },
    }
    with contextlib.ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory())
        path = Path(folder, "policy.json")
        path.write_text(json.dumps(policy), encoding="utf-8")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        model = held.enter_context(subprocess.Popen([sys.executable, str(HERE / "model.py")], **pipes))
        held.callback(model.stdin.close)
        endpoint = f"http://127.0.0.1:{model.stdout.readline().strip()}"
        words = [w for name in MODELS for w in ("--model", f"openai:{name}")]
        words += ["--base-url", f"{endpoint}/v1", "--policy", str(path), "--port", "0", "--json"]
        env = {**os.environ, "APP_KEY": key, "OPENAI_API_KEY": "unused-unused-unused"}
        command = [sys.executable, "-m", "crmeval", "gateway", *words]
        gateway = held.enter_context(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
        held.callback(gateway.terminate)
        address = json.loads(gateway.stdout.readline())["address"]
        yield {"GATEWAY_ADDRESS": address, "GATEWAY_KEY": key, "MODEL_ENDPOINT": endpoint}


if __name__ == "__main__":
    with served(os.environ.get("STREAM", "sentences")) as told:
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, **told}).returncode)
