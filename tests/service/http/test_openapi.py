"""What /openapi.json promises holds: Schemathesis sends good and bad requests to a real server."""

import json
import subprocess
import sys
from pathlib import Path

import httpx

from nyx_learning import BanditSpec

from .test_serving import environment, serving

__all__ = ["environment"]  # the fixture

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
MOST_ASKED = {
    "/v1/decisions/{decision_id}/outcome",
    *(f"/v1/bandits/{{name}}/{what}" for what in ("decisions", "beliefs", "overrides", "report", "trends")),
}
CONFIG = """
[parameters]
name = {name}
bandit = {name}
decision_id = ["wf-1", "none"]
seq = [1, 2]
"""


def test_every_answer_is_a_promised_one(
    environment: dict[str, str],
    spec: BanditSpec,
    tmp_path: Path,
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(name=json.dumps(spec.name)), encoding="utf-8")
    with serving(environment, "--port", "0") as (_, url):
        transport = httpx.HTTPTransport(retries=30)
        with httpx.Client(base_url=url, transport=transport, timeout=60) as client:
            paths = client.get("/openapi.json").json()["paths"]
            operations = sum(len(methods) for methods in paths.values())
            client.post("/v1/bandits", json=spec.to_dict()).raise_for_status()
            asked = {"context": {"task": "code", "size": 1}, "decision_id": "wf-1"}
            client.post(f"/v1/bandits/{spec.name}/decisions", json=asked).raise_for_status()
        command = [str(Path(sys.executable).with_name("st")), "--config-file", str(config), "run"]
        options = ["--seed", "7", "--max-examples", "3", "--phases", "coverage,fuzzing"]
        ended = subprocess.run(
            [*command, f"{url}/openapi.json", *options, "--checks", ",".join(CHECKS)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout[-4000:]
    assert set(paths) >= MOST_ASKED
    assert f"{operations} selected / {operations} total" in ended.stdout
