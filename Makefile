# The tasks. CI runs the same commands: see .ci/run.
.DEFAULT_GOAL := help
.PHONY: help setup check format test kernels cover docs pins upgrade hooks ci
UV ?= uv

help:     ## list the tasks
	@grep -E '^[a-z]+: .*## ' $(MAKEFILE_LIST) | sed 's/^\([a-z]*\): *## */\1\t/' | expand -t 12
setup:    ## make .venv with the package and everything that tests need
	$(UV) sync --group dev
check:    ## lint, types, floors: seconds
	scripts/check
format:   ## put the code in the house format
	$(UV) run --group dev ruff check --fix
	$(UV) run --group dev ruff format
test:     ## all tests
	$(UV) run --group dev pytest
kernels:  ## measure the kernels, one by one
	$(UV) run --group dev pytest benchmarks -n 0
cover:    ## all tests with branch coverage; lists the lines that no test runs
	$(UV) run --group dev pytest --cov --cov-report=term-missing:skip-covered
docs:     ## write the generated parts of docs/
	$(UV) run --group dev python scripts/tree.py
pins:     ## bring requirements.lock and pyproject.toml in line with the dependencies
	$(UV) run --group dev python scripts/pins.py
upgrade:  ## move every pin to the newest version allowed
	$(UV) run --group dev python scripts/pins.py --upgrade
hooks:    ## run the checks before each commit
	$(UV) run --group dev pre-commit install
ci:       ## what CI runs, in a fresh clone of HEAD
	rm -rf out/ci && git clone --quiet . out/ci/clone && ln -s "$(abspath ../shared)" out/ci/shared
	CI=true bash out/ci/clone/.ci/run </dev/null
