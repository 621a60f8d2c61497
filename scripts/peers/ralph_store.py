"""`python -m scripts.peers.ralph_store PYTHON`: openfun Ralph of that Python, on a database in memory, until SIGTERM.

It prints where statements are sent, and by which name and password.
"""

import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

import msgspec

from scripts.servers.cache import Unavailable, cached, command, free_port, is_free, run
from scripts.servers.process import Server, StartFailed

MONGO = "1.47.0"
NAME = PASSWORD = "bench"
HASH = "import bcrypt; print(bcrypt.hashpw(b'bench', bcrypt.gensalt(4)).decode())"

_POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>mastery</groupId><artifactId>mongo</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>de.bwaldvogel</groupId><artifactId>mongo-java-server</artifactId><version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>2.0.16</version>
    </dependency>
  </dependencies>
</project>
"""


class Mongo(Server):
    """What Ralph keeps its statements in."""

    def __init__(self) -> None:
        """Raises Unavailable."""
        self._java = command("java", packages=["default-jdk-headless"])
        self._jars = cached("mongo-java-server", MONGO, _fetch_jars) / "lib"
        super().__init__("Mongo", MONGO)
        self.port = free_port()

    def argv(self) -> list[str]:
        source = Path(__file__).with_name("Mongo.java")
        java = [str(self._java), "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        return [*java, "-cp", f"{self._jars}/*", str(source), str(self.port)]

    def ready(self) -> bool:
        return not is_free(self.port)


class Ralph(Server):
    """Ralph's record store as one process."""

    def __init__(self, python: str, database: Mongo) -> None:
        super().__init__("Ralph", "5.1")
        self._python, self._database = python, database
        self.port = free_port()
        self.statements = f"http://127.0.0.1:{self.port}/xAPI/statements"

    def argv(self) -> list[str]:
        users = self.home / "auth.json"
        agent = {"mbox": "mailto:bench@school.example", "objectType": "Agent"}
        user = {"username": NAME, "hash": run([self._python, "-c", HASH]).strip(), "scopes": ["all"], "agent": agent}
        users.write_bytes(msgspec.json.encode([user]))
        settings = {
            "RALPH_AUTH_FILE": str(users),
            "RALPH_RUNSERVER_BACKEND": "async_mongo",
            "RALPH_BACKENDS__LRS__MONGO__CONNECTION_URI": f"mongodb://127.0.0.1:{self._database.port}/",
        }
        set_up = [f"{name}={value}" for name, value in settings.items()]
        serve = ["-m", "uvicorn", "ralph.api:app", "--port", str(self.port), "--log-level", "error"]
        return ["env", *set_up, self._python, *serve]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/__lbheartbeat__", timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


def _fetch_jars(folder: Path) -> None:
    maven = command("mvn", packages=["default-jdk-headless", "maven"])
    (folder / "pom.xml").write_text(_POM.format(version=MONGO))
    goal = ["dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime"]
    run([str(maven), "-q", "-B", *goal], folder=folder)


def main() -> int:
    """The exit status: 0 after SIGTERM, 1 where they cannot be had or did not start."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Mongo() as database, Ralph(sys.argv[1], database) as ralph:
            print(ralph.statements, NAME, PASSWORD, flush=True)
            signal.pause()
    except (Unavailable, StartFailed) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
