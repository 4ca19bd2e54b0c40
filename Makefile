# Two commands for a newcomer: `make demo` and `make test`. Both install everything they use into .venv.
PY := .venv/bin/python
.DEFAULT_GOAL := help

.PHONY: help bootstrap demo test test-exports examples check lint format bench bench-search constraints wheel
help: ## Say what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

bootstrap: ## Make .venv ready (nothing to do when it is)
	@sh scripts/bootstrap.sh

demo: bootstrap ## Tune a schedule on real data: service, worker, job, answer (under 3 minutes on 2 cores)
	@.venv/bin/tuner demo

test: bootstrap ## Run the test suite
	@$(PY) -m pytest -n 2 --dist worksteal

test-exports: bootstrap ## Run exported schedules in the libraries they are for (installs them first: 600 MB)
	@sh scripts/install_exports_check.sh
	@$(PY) -m pytest tests/unit/exports

examples: bootstrap ## Install what the examples need besides (lightning), and test them and the integrations
	@$(PY) -m uv pip install --quiet -c constraints.txt -e '.[dev,lightning]' || $(PY) -m pip install --quiet -c constraints.txt -e '.[dev,lightning]'
	@$(PY) -m pytest -m 'frameworks or not frameworks' tests/integration/test_examples.py tests/integration/test_examples_on_a_queue.py tests/integration/integrations

check: bootstrap ## Lint, types, import rules, constraints
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy tuner service/tuner_service worker/tuner_worker migrations/tuner_migrations
	@.venv/bin/lint-imports
	@$(PY) scripts/check_constraints.py

lint: bootstrap ## Mend what ruff can mend
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: bootstrap ## Run the benchmarks (tables on the screen, JSON in benchmarks/out)
	@$(PY) -m benchmarks

bench-search: bootstrap ## Compare the search with its rivals (two hours on 2 cores; the training, 70 minutes of it, resumes where it was stopped)
	@$(PY) -m benchmarks search

constraints: bootstrap ## Resolve constraints.txt anew
	@$(PY) scripts/check_constraints.py --write
