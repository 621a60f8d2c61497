"""``cd src && uvicorn main:app --no-proxy-headers``: the service with the settings of the environment.

Without the option uvicorn believes the X-Forwarded-For of any caller on this machine.
"""

import os

from mastery_engine.service import create_app
from mastery_engine.settings import settings_from

app = create_app(settings_from(os.environ))
