"""``cd src && uvicorn main:app``: the service with the settings of the environment."""

import os

from mastery_engine.service import create_app
from mastery_engine.settings import settings_from

app = create_app(settings_from(os.environ))
