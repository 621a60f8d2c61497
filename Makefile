VENV := .venv
BIN := $(VENV)/bin
CONTRACTS := specs/003-mastery-engine/contracts
# What is compiled for one process of the tests serves the others, also where a shell asks Python to keep none of it.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup run test coverage check format bench benchmarks chaos fuzz services docs contracts pictures lock images sbom dist oldest clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

# Two stamps: who only runs the service need not wait for the test tools.
$(VENV)/.installed-run: requirements.txt requirements-build.txt pyproject.toml scripts/make_venv.sh
	@scripts/make_venv.sh $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-run requirements-dev.txt clients/python/pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable clients/python
	@touch $@

setup: $(VENV)/.installed-dev ## the virtual environment .venv, again only when the requirements changed

run: $(VENV)/.installed-run ## the service with a living simulated class, at http://localhost:8005
	$(BIN)/mastery-engine demo

test: setup ## all tests, on three processes, since much of it waits; ARGS="-k quiz" narrows
	@$(BIN)/python -m scripts.servers --build
	$(PYTEST) -n 3 --dist loadgroup $(ARGS)

coverage: setup ## all tests, with lines and branches counted; report in htmlcov/
	$(PYTEST) -n 2 --dist loadgroup --cov=src --cov-report=term --cov-report=html --cov-fail-under=95 $(ARGS)

check: setup ## format, lint, types, security, import rules, unused and undeclared packages, dead and doubled code
	@failed=; run() { echo "== $$*"; "$$@" || failed="$$failed $$1"; }; \
	export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	run ruff format --check .; \
	run ruff check .; \
	run black --check --quiet src/ tests/ clients/; \
	run flake8; \
	run mypy src/; \
	run mypy clients/python/src/; \
	run bandit --quiet --recursive src/; \
	run lint-imports --no-logo --no-cache; \
	run deptry src; \
	run deptry --config clients/python/pyproject.toml clients/python/src; \
	run scripts/dead_code.sh; \
	run pylint --disable=all --enable=duplicate-code --score=no src/; \
	if [ -n "$$failed" ]; then echo "check failed:$$failed" >&2; exit 1; fi

format: setup ## writes the format, and mends what lint can
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/black --quiet .
	$(BIN)/ruff format .

bench: setup ## speed, measured here beside its floors
	$(BIN)/mastery-engine bench $(ARGS)

benchmarks: setup ## the same, into docs/benchmarks.md: for an idle machine, an hour; or ARGS="http lag"
	$(BIN)/mastery-engine bench $(ARGS) --into docs/benchmarks.md

chaos: setup ## kills at random moments; CHAOS_ROUNDS=50
	CHAOS_ROUNDS=$${CHAOS_ROUNDS:-50} $(PYTEST) -m chaos --timeout=0 $(ARGS)

fuzz: setup ## random and mutated events and heads of requests; FUZZ_EVENTS=1000000 FUZZ_HEADS=10000
	FUZZ_HEADS=$${FUZZ_HEADS:-10000} FUZZ_EVENTS=$${FUZZ_EVENTS:-1000000} $(PYTEST) -m fuzz --timeout=0 $(ARGS)

services: setup ## real Kafka and Redis on this machine, until Ctrl-C
	$(BIN)/python -m scripts.servers

docs: setup ## the documentation as a site that needs no network: build/site/index.html
	$(BIN)/python -m scripts.site

contracts: setup ## specs/003-mastery-engine/contracts/ and the Python client, as the code says it
	$(BIN)/mastery-engine openapi > $(CONTRACTS)/openapi.json
	$(BIN)/mastery-engine asyncapi --schemas $(CONTRACTS)/events > $(CONTRACTS)/asyncapi.json
	$(BIN)/python -m scripts.client

pictures: setup ## docs/img/*.png, the pictures of the pages, from the demo's class
	$(BIN)/python -m scripts.pictures

lock: setup ## requirements*.txt anew from pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	scripts/lock.sh --upgrade

images: ## digests of the pinned images, as their registries have them now
	scripts/pin_images.sh

sbom: setup ## sbom.cdx.json, the bill of materials of what the requirements install here
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --only-binary :all: \
		--report $(VENV)/report.json -r requirements.txt
	$(BIN)/python scripts/sbom.py $(VENV)/report.json > sbom.cdx.json

dist: setup ## dist/: wheel and sdist of the last commit, tried in empty environments with the newest and the oldest packages
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m scripts.dist dist
	DIST=dist $(PYTEST) -m dist --timeout=0 $(ARGS)

oldest: setup ## the quick tests with the oldest packages that pyproject.toml allows
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	scripts/oldest.sh $(ARGS)

clean: ## removes what these targets made, .venv too
	rm -rf $(VENV) .venv-oldest build dist sbom.cdx.json htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
