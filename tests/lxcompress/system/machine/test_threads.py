"""How many CPU threads a model gets, and that users' choices win."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from lxcompress.system.machine.threads import choose_threads, set_torch_threads, threads_for


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        # Set before it is deleted, so that what a test leaves in it is removed.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_one_thread_for_a_small_model_and_all_for_a_large_one() -> None:
    set_torch_threads(200_000_000)
    all_threads = torch.get_num_threads()
    set_torch_threads(1_000_000)
    assert torch.get_num_threads() == 1
    set_torch_threads(200_000_000)
    assert torch.get_num_threads() == all_threads
    assert (threads_for(1_000_000), threads_for(200_000_000)) == (1, None)


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_the_users_variable_wins(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "3")
    torch.set_num_threads(3)
    set_torch_threads(1_000_000)
    assert torch.get_num_threads() == 3


def test_a_chosen_number_wins_and_is_inherited() -> None:
    choose_threads(2)
    set_torch_threads(1_000_000)
    assert torch.get_num_threads() == 2
    assert os.environ["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ],
)
def test_waiting_threads_do_not_spin_long(given: dict[str, str], expected: str) -> None:
    script = "import lxcompress, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    own = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=own | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
