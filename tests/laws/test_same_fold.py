"""Quicker code folds the same events to the same documents: beside a pinned commit, whose fold was plainer."""

import os
import subprocess
import sys

import pytest

from scripts.same_fold import PINNED, ROOT

EVENTS = os.environ.get("FUZZ_EVENTS", "10000")


@pytest.mark.fuzz
@pytest.mark.timeout(0)
def test_old_and_new_code_fold_random_events_to_the_same_documents() -> None:
    known = subprocess.run(["git", "cat-file", "-e", PINNED], cwd=ROOT, capture_output=True, check=False)
    if known.returncode:
        pytest.skip("this clone does not have the pinned commit")
    argv = [sys.executable, "-m", "scripts.same_fold", PINNED, EVENTS]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{int(EVENTS):,} events are folded to the same documents" in done.stdout
