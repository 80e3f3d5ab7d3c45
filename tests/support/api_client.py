"""The client of the demo's API, as the documentation shows it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# The page's example; in a process of its own, because `gradio_client` leaves sockets open.
CLIENT = """
import json, sys
from gradio_client import Client, handle_file

client = Client(sys.argv[1], verbose=False)
endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
replies = [list(endpoints)]
for question in sys.argv[3:]:
    try:
        reply = client.predict(handle_file(sys.argv[2]), question, api_name="/ask")
    except Exception as problem:
        reply = str(problem)
    replies.append(reply)
print(json.dumps(replies))
"""


def ask_with_client(address: str, picture: Path | str, *questions: str) -> list[Any]:
    """The names of the endpoints, then the reply to each question."""
    command = [sys.executable, "-c", CLIENT, address, str(picture), *questions]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
