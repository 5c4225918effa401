# Everything here sets up what it needs in .venv: make demo and make test work from nothing but Python 3.11.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2

.PHONY: demo test thorough others lint types bench docs clean

demo: $(VENV)/.installed
	$(BIN)/python examples/wallet/demo.py

test: lint types
	$(BIN)/pytest -n $(JOBS)

# The tests that try random cases, with ten times as many as each push tries, and all plans whose steps are written down.
thorough: $(VENV)/.developing
	CHAOSKIT_TIMES=10 CHAOSKIT_PLANS=5000 $(BIN)/pytest -n $(JOBS) -m many

# The fast part of the tests on the other Pythons that are here, and with the oldest versions of what is needed.
others: $(VENV)/.developing
	JOBS=$(JOBS) $(BIN)/python .ci/others.py

lint: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Type checkers do not see through the folder mapping, so the wheel is what is checked, from outside the checkout.
types: $(VENV)/.developing
	rm -rf build $(VENV)/wheel $(VENV)/dist
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(VENV)/dist .
	$(BIN)/pip install --quiet --no-deps --target $(VENV)/wheel $(VENV)/dist/chaoskit-*.whl
	cd $(VENV) && MYPYPATH=wheel bin/mypy --config-file ../pyproject.toml -p chaoskit

# What does not depend on the models is measured once.
bench: $(VENV)/.developing
	$(BIN)/python -m benchmarks --save $(VENV)/pure.json
	rm -rf $(VENV)/compiled
	CHAOSKIT_COMPILE=1 $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/compiled .
	ln -s $(CURDIR)/benchmarks $(CURDIR)/tests $(VENV)/compiled
	cd $(VENV)/compiled && ../bin/python -m benchmarks --beside ../pure.json \
		--only throughput --only brokers --only overhead --only finding

docs: $(VENV)/.developing
	$(BIN)/python docs/outputs.py --write
	$(BIN)/python docs/brokers.py --write
	cd tests && ../$(BIN)/python -m quality.table --write

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("chaoskit needs Python 3.11 or newer, this is %d.%d: make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.developing: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check "setuptools>=77" wheel
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]"
# pytest rewrites the assertions of every plugin, Hypothesis and Faker among them: once, and not at each start of a test.
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest --markers >/dev/null
	touch $(VENV)/.installed $@
