"""The service in this process, on a data folder of each test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.calls import Api, serving


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as started:
        yield started
