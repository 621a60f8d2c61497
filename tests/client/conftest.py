"""One school for all tests of the client; modules that ask for it run in one of xdist's processes."""

from collections.abc import Iterator

import pytest

from tests.support.client import School, a_school


@pytest.fixture(scope="session")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    with a_school(tmp_path_factory.mktemp("school")) as school:
        yield school
