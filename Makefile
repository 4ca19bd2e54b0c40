# Two commands for a newcomer: `make demo` and `make test`. Both install everything they use into .venv.
# What needs more than that, `make examples` and `make test-exports`, has .venv-all.
PY := .venv/bin/python
ALL := .venv-all/bin/python
PYTEST := -m pytest -n 2 --dist worksteal
.DEFAULT_GOAL := help
# Where it is set, each of the hundreds of processes that the tests start compiles the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help bootstrap demo test test-quick test-all soak examples test-exports libraries coverage check lint format bench bench-search constraints wheel
help: ## Say what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

bootstrap: ## Make .venv ready (nothing to do when it is)
	@sh scripts/bootstrap.sh

demo: bootstrap ## Tune a schedule on real data: service, worker, job, answer (under 3 minutes on 2 cores)
	@.venv/bin/tuner demo

test: bootstrap ## Run the test suite
	@$(PY) $(PYTEST)

test-quick: bootstrap ## Run the unit tests and the rules of the architecture (90 s on 2 cores)
	@$(PY) $(PYTEST) tests/unit tests/architecture

# The parts after `test` are those of .ci/run, in its order, where the soak takes four minutes.
test-all: test examples test-exports soak ## Run everything: the suite, the examples in their frameworks, exports in their libraries, the soak

MINUTES ?= 20
SEED ?= 1
soak: bootstrap ## Inject faults of all kinds for 20 minutes, on both databases (MINUTES=4 SEED=2 to choose)
	@$(PY) -m tests.soak --minutes $(MINUTES) --seed $(SEED)

examples: libraries ## Test the examples and the integrations, in frameworks that take long to load
	@$(ALL) -m pytest -m 'frameworks or not frameworks' tests/integration/test_examples.py tests/integration/test_command_examples.py tests/integration/test_examples_on_a_queue.py tests/integration/test_examples_without_torch.py tests/integration/test_cases.py tests/integration/integrations

test-exports: libraries ## Run exported schedules in the libraries they are for
	@$(ALL) -m pytest tests/unit/exports tests/unit/importers

# timm comes without what it depends on: its schedulers need torch alone, and its torchvision would have to fit this torch.
libraries: ## Make .venv-all ready: .venv and the libraries of the examples and the exports (600 MB more)
	@VENV=.venv-all EXTRAS=dev,examples,exports-check sh scripts/bootstrap.sh
	@$(ALL) -m uv pip install --quiet --no-deps 'timm>=1.0.30'

coverage: bootstrap ## Run the test suite and print what it covers
	@$(PY) $(PYTEST) --cov --cov-report=term:skip-covered

check: bootstrap ## Lint, types, import rules, constraints, the workflow files
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports
	@$(PY) scripts/check_constraints.py
	@.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

lint: bootstrap ## Mend what ruff can mend
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: bootstrap ## Run the benchmarks (tables on the screen, JSON in benchmarks/out)
	@$(PY) -m benchmarks

bench-search: bootstrap ## Compare the search with its rivals (about two hours on 2 cores; the training resumes where it was stopped)
	@$(PY) -m benchmarks search

constraints: bootstrap ## Resolve constraints.txt anew
	@$(PY) scripts/check_constraints.py --write
