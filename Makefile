# make demo         install into .venv and look into a GPT-2-shaped checkpoint
# make test         install, lint, check documents and wheel, run the tests, and those that need no torch without it
# make test-extra   run the tests that want a browser, other shells, readers of manual pages
# make test-libraries  run models of transformers, diffusers, peft and timm, in an environment of their own
# make check-package  what a package index, GitHub and docker make of the project; the tests, from the source archive
# make compat       run the tests with the lowest and the newest versions of what we depend on, on each Python that is there
# make docs         run the commands of README.md and docs/, write their output into them; write the manual pages;
#                   build the site into build/site
# make linkcheck    ask the servers of all links of the site whether they have the page
# make page         build the page of `paraminspect report` from web/, which takes Node; it is committed
# make report       write three reports into build/, to look at
# make bench        measure against benchmarks/ and write benchmarks/RESULTS.md
# make lint, make clean
#
# Needs Python 3.11 or newer and nothing else: `make PYTHON=/path/to/python3.12 test` names another one,
# `make PIP_ARGS="--extra-index-url URL" test` passes arguments to every pip install.

ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
endif

VENV := .venv
BIN := $(VENV)/bin
LIBRARIES := .venv-libraries
PACKAGE := .venv-package
COMPAT := .venv-compat
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS)
DEMO := demo/gpt2.pt
BENCH_ARGS ?= --output benchmarks/RESULTS.md

.DELETE_ON_ERROR:
.PHONY: demo install dev test test-without-torch test-extra test-libraries page check-page report lint pytest check-docs check-wheel check-package compat docs site linkcheck bench clean help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed '/^$$/q'

demo: $(DEMO)
	@echo
	@echo '$$ paraminspect tree $(DEMO)'
	@$(BIN)/paraminspect tree $(DEMO)
	@echo
	@echo '$$ paraminspect list $(DEMO)'
	@$(BIN)/paraminspect list $(DEMO)
	@echo
	@echo 'paraminspect is in $(BIN): try $(BIN)/paraminspect list YOUR_MODEL'

test: lint check-docs check-wheel pytest test-without-torch

install: $(VENV)/.installed
dev: $(VENV)/.dev

# A stamp is as new as the files that say what to install.
$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11 or newer found' >&2; \
	  echo 'hint: name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo 'installing into $(VENV) ...'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) --upgrade pip
	@$(INSTALL) --build-constraint constraints.txt -e .
	@$(BIN)/python -m compileall -q src  # pip does it for a package it copies, not for one it links to
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@echo 'installing the tools for development ...'
	@$(INSTALL) --group dev
	@touch $@

$(DEMO): scripts/make_demo.py scripts/gpt2.py | $(VENV)/.installed
	@$(BIN)/python -m scripts.make_demo $(@D)

page:
	cd web && npm ci --silent && npm run --silent build

check-page: page
	git diff --exit-code --stat src/paraminspect/pages || { \
	  echo 'error: src/paraminspect/pages is not what web/ builds: make page, and commit it' >&2; exit 1; }

report: $(DEMO)
	@mkdir -p build
	$(BIN)/paraminspect report $(DEMO) -o build/report.html --force
	$(BIN)/paraminspect report demo/base.pt demo/tuned.safetensors -o build/changes.html --force
	$(BIN)/paraminspect report configs/autoencoder.yaml --grad -o build/gradients.html --force

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m scripts.fill_formats --check

check-docs: $(VENV)/.dev $(DEMO)
	$(BIN)/python -m scripts.fill_docs --check
	$(BIN)/python -m scripts.make_man --check
	$(MAKE) --no-print-directory site

check-wheel: $(VENV)/.dev $(DEMO)
	$(BIN)/python -m scripts.check_wheel

check-package: $(VENV)/.dev $(PACKAGE)/.installed
	$(PACKAGE)/bin/python -m scripts.check_package --tests "$(CURDIR)/$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)"

$(PACKAGE)/.installed: pyproject.toml constraints.txt | $(VENV)/.installed
	@echo 'installing what looks at a package into $(PACKAGE) ...'
	@test -x $(PACKAGE)/bin/python || $(BIN)/python -m venv $(PACKAGE)
	@$(PACKAGE)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --upgrade pip
	@$(PACKAGE)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS) --group package
	@touch $@

compat: $(COMPAT)/.installed
	$(COMPAT)/bin/python -m scripts.compat $(foreach each,$(PYTHONS),--python $(each)) --uv "$(UV_ARGS)" -n auto $(PYTEST_ARGS)

$(COMPAT)/.installed: pyproject.toml constraints.txt | $(VENV)/.installed
	@test -x $(COMPAT)/bin/python || $(BIN)/python -m venv $(COMPAT)
	@$(COMPAT)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --upgrade pip
	@$(COMPAT)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS) --group compat
	@touch $@

pytest: $(VENV)/.dev
	$(BIN)/pytest -n auto $(PYTEST_ARGS)

test-without-torch: $(VENV)/.dev
	$(BIN)/python -m scripts.without_torch -n auto

test-extra: $(VENV)/.dev
	$(BIN)/pytest -m extra $(PYTEST_ARGS)

test-libraries: $(LIBRARIES)/.installed
	$(LIBRARIES)/bin/python -m pytest -m libraries tests/libraries $(PYTEST_ARGS)

$(LIBRARIES)/.installed: pyproject.toml constraints.txt | $(VENV)/.installed
	@echo 'installing transformers, diffusers, peft and timm into $(LIBRARIES) ...'
	@test -x $(LIBRARIES)/bin/python || $(BIN)/python -m venv $(LIBRARIES)
	@$(LIBRARIES)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --upgrade pip
	@$(LIBRARIES)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS) -e . --group libraries
	@$(LIBRARIES)/bin/python -c 'import torchvision' 2>/dev/null || { echo 'torchvision does not fit this torch: no models of timm'; \
	  $(LIBRARIES)/bin/python -m pip uninstall --quiet --yes torchvision; }
	@touch $@

docs: $(VENV)/.dev $(DEMO)
	$(BIN)/python -m scripts.fill_formats
	$(BIN)/python -m paraminspect.architecture.schema
	$(BIN)/python -m scripts.fill_docs
	$(BIN)/python -m scripts.make_man
	$(MAKE) --no-print-directory site

site: $(VENV)/.dev
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --nitpicky --quiet docs build/site

linkcheck: $(VENV)/.dev
	$(BIN)/sphinx-build --builder linkcheck docs build/linkcheck

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

clean:
	rm -rf $(VENV) $(LIBRARIES) $(PACKAGE) $(COMPAT) build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
