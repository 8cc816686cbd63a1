# Needs one of Python 3.11 to 3.14 and nothing else; 'make help' lists the targets.
SHELL := /bin/sh
# The Python of a new virtual environment: PYTHON=/path/to/python3; by default the newest on the PATH that will do.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The benchmark's competitors are kept out of the service's own environment.
BENCH_VENV := .venv-bench
BENCH_READY := $(BENCH_VENV)/.ready
AUDIT_VENV := .venv-audit
AUDIT_READY := $(AUDIT_VENV)/.ready
HELM_VENV := .venv-helm
HELM_READY := $(HELM_VENV)/.ready
STACK := $(BIN)/python -m embedded exec --
# Fails when a link or an anchor of docs/ leads nowhere.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
# A dump to import, and options of the import: make import FILE=dump.jsonl.bz2 OPTIONS=--rebase
FILE ?=
OPTIONS ?=

.DEFAULT_GOAL := help
.PHONY: help demo run test test-faults drill test-docker helm test-pythons check bench load import up down docs \
	docs-site lint-schema clients lighthouse requirements sbom audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(READY) ## start everything, import a month of sample sessions, serve on PORT (8000) until Ctrl-C
	@$(STACK) $(BIN)/python manage.py demo

run: $(READY) ## start everything and serve on PORT (8000) until Ctrl-C
	@$(STACK) sh -c '$(BIN)/python manage.py sync_cassandra --wait 60 >/dev/null && exec $(BIN)/python -m sessions_project'

# Some machines are told to keep no bytecode: hundreds of processes would compile the same files again.
test: export PYTHONDONTWRITEBYTECODE :=
# What compiles well takes a quarter of what Cassandra takes for the tests, and is done when they are.
test: export JAVA_TOOL_OPTIONS := -XX:TieredStopAtLevel=1
# Four processes, for two cores: half of what a test takes it waits.
test: $(READY) ## run the tests on a real Cassandra and Redis
	@$(STACK) sh -c '$(BIN)/pytest -m "not alone" --numprocesses=4 --dist=loadfile --no-loadscope-reorder; \
		others=$$?; $(BIN)/pytest -m alone && exit $$others'

test-faults: $(READY) ## break nodes, Redis, network and clocks under load (some minutes; FAULTS=long: an hour)
	@$(BIN)/pytest tests/faults

drill: $(READY) ## snapshot, empty and restore a Cassandra of its own, and compare all reports (some minutes)
	@$(BIN)/pytest -s -q --no-header tests/faults/test_restore.py

test-docker: $(READY) ## build the image and run both compose files on a Docker engine (a quarter of an hour)
	@$(BIN)/pytest -s tests/containers

# Outside of the gate: helm is no package of a registry of Python's.
helm: $(READY) $(HELM_READY) ## lint the chart of deploy/helm, render it, and look at what comes out (a minute; needs helm)
	@command -v helm >/dev/null || { \
		echo "There is no helm on the PATH: https://helm.sh/docs/intro/install/"; exit 1; }
	@KUBERNETES_VALIDATE=$(HELM_VENV)/bin/kubernetes-validate $(BIN)/pytest -v tests/helm

test-pythons: $(READY) ## try the service on every other supported Python that is here (a minute or two for each)
	@$(BIN)/pytest -v tests/test_each_python.py

check: $(READY) ## lint, format, types, architecture, settings, schema, documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python manage.py check
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	@$(BIN)/python -m documentation --check
	@$(SITE)

load: $(READY) ## load-test a running service (make demo) with locust; fails when a request fails or a p90 exceeds 500 ms
	@$(BIN)/python -m locustfiles

bench: $(READY) $(BENCH_READY) ## measure the service beside its floor, Flask and FastAPI (a quarter of an hour; needs wrk)
	@$(STACK) $(BIN)/python -m benchmarks --record

# By the environment and as they were typed: make and the shell take no letter of the path for a sign of theirs.
import: export IMPORT_FILE := $(value FILE)
import: export IMPORT_OPTIONS := $(value OPTIONS)
import: $(READY) ## import FILE, with OPTIONS; starts the stack if need be
	@test -n "$$IMPORT_FILE" || { echo "Name the dump: make import FILE=dump.jsonl.bz2"; exit 1; }
	@$(STACK) sh -c '$(BIN)/python manage.py sync_cassandra --wait 60 >/dev/null && \
		eval "exec $(BIN)/python manage.py import_sessions $$IMPORT_OPTIONS -- \"\$$IMPORT_FILE\""'

up: $(READY) ## start Cassandra and Redis and leave them running
	@$(BIN)/python -m embedded up --detach

down: $(READY) ## stop Cassandra and Redis
	@$(BIN)/python -m embedded down

docs: $(READY) ## write the OpenAPI schema to docs/openapi.yaml
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

# Outside of the gate: it needs node, and the internet for the first time.
lint-schema: docs ## lint docs/openapi.yaml with redocly and spectral (npx)
	@npx --yes @redocly/cli@2.77.0 lint docs/openapi.yaml
	@npx --yes @stoplight/spectral-cli@6.16.3 lint docs/openapi.yaml --fail-severity=warn

# Outside of the gate: they need the internet and others' tools.
clients: $(READY) ## make clients of the schema with others' tools and run them (some minutes)
	@$(STACK) $(BIN)/pytest -v tests/made_clients

lighthouse: $(READY) ## have Lighthouse look at the page (needs node and Chromium; fails below 95 of 100)
	@$(STACK) $(BIN)/pytest -s -q --no-header tests/lighthouse

docs-site: $(READY) ## write the generated parts of docs/ and build the site into site/
	@$(BIN)/python -m documentation
	@$(SITE)

requirements: $(READY) ## pin requirements/*.txt anew from requirements/*.in
	@for name in base production dev bench audit helm; do \
		$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links \
			--universal --fork-strategy fewest --python-version 3.11 --custom-compile-command "make requirements" \
			requirements/$$name.in --output-file requirements/$$name.txt || exit 1; \
	done

sbom: $(AUDIT_READY) ## write sbom.json: what is installed in production (CycloneDX)
	@$(AUDIT_VENV)/bin/cyclonedx-py requirements requirements/production.txt --output-reproducible --output-file sbom.json

audit: $(AUDIT_READY) ## ask whether a known weakness is in what production installs; fails when nobody answers
	@$(AUDIT_VENV)/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements/production.txt

clean: ## remove the virtual environments; the data in .data/ stays
	rm -rf $(VENV) $(BENCH_VENV) $(AUDIT_VENV) $(HELM_VENV)

$(READY): requirements/dev.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		python=$$(sh requirements/find-python.sh "$(PYTHON)") && \
		echo "Creating $(VENV) with $$python ..." && "$$python" -m venv --clear $(VENV); }
	@echo "Installing what the project needs into $(VENV) (a minute) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# Of the Python that the service has: another one would be compared as well.
$(BENCH_READY): $(READY) requirements/bench.txt
	@$(BENCH_VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m venv --clear $(BENCH_VENV)
	@echo "Installing what the service is compared with into $(BENCH_VENV) ..."
	@$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

$(AUDIT_READY): $(READY) requirements/audit.txt
	@$(AUDIT_VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m venv --clear $(AUDIT_VENV)
	@echo "Installing what looks at the pins into $(AUDIT_VENV) ..."
	@$(AUDIT_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

$(HELM_READY): $(READY) requirements/helm.txt
	@$(HELM_VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m venv --clear $(HELM_VENV)
	@echo "Installing the schemas of Kubernetes into $(HELM_VENV) ..."
	@$(HELM_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/helm.txt
	@touch $@
