"""The service in this process, on a data folder of each test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.calls import Api, serving


@pytest.fixture(autouse=True)
def _quick_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has nothing to do looks up once in a while, and sees then that it is to stop."""
    monkeypatch.setattr("mastery_engine.logs.sqlite.IDLE_S", 0.05)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as started:
        yield started
