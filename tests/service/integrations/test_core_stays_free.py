"""The core needs none of the frameworks, and importing it loads none of them."""

from __future__ import annotations

import json
import subprocess
import sys

PROBE = """
import json, sys
import nyx_learning.service, nyx_learning.service.integrations, nyx_learning.service.cli
names = {"agents", "celery", "langchain_core", "langgraph", "mcp", "openai", "pydantic_ai", "temporalio"}
print(json.dumps(sorted(names.intersection(name.partition(".")[0] for name in sys.modules))))
"""


def test_no_framework_is_loaded_with_the_service() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
