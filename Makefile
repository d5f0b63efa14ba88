# Every target works in a fresh clone: it makes .venv with the newest Python it finds, and nothing outside this folder
# is written. `make clean` takes it all away again.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PY := .venv/bin/python
export PIP_CACHE_DIR := $(CURDIR)/.venv/pip-cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_ROOT_USER_ACTION := ignore

# The first Python that is new enough and can make a virtual environment; PYTHON=... names another. The versions are
# tried by running them: a version manager puts names on PATH that only print an error.
CANDIDATES = $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python3.10
FIND = for p in $(CANDIDATES); do \
  "$$p" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && break; p=; done; \
  [ -n "$$p" ] || { echo "Python 3.10 or later with the venv module is needed (on Debian: python3-venv)" >&2; exit 1; }

# The development tools and all extras, out of pyproject.toml: older pips do not know --group.
define DEV
import tomli
with open("pyproject.toml", "rb") as file:
    project = tomli.load(file)
extras = project["project"]["optional-dependencies"].values()
print(*project["dependency-groups"]["dev"], *(one for extra in extras for one in extra), sep="\n")
endef
export DEV

.PHONY: help demo test lint format guard bench bench-docs bench-images fuzz mutation docs dist package versions clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /make \1	/p' Makefile

.venv/core: pyproject.toml
	@$(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || \
	  { $(FIND); echo "making .venv with $$p" >&2; "$$p" -m venv --clear .venv; }
	@$(PY) -m pip install --quiet --editable .
	@touch $@

# A tool without a wheel for this Python is left out by name, and the tests that need it skip by name.
.venv/dev: .venv/core Makefile
	@$(PY) -c "$$DEV" > .venv/dev.txt
	@$(PY) -m pip install --quiet --prefer-binary --requirement .venv/dev.txt || while read -r tool; do \
	  $(PY) -m pip install --quiet --only-binary :all: "$$tool" || echo "left out: $$tool" >&2; done < .venv/dev.txt
	@touch $@

# What lkscan is compared with; what cannot be installed here is left out by name.
build/peers: Makefile
	@$(PY) -m venv --clear $@
	@for tool in yamllint zizmor checkov bandit unblob checksec.py blint kernel-hardening-checker; do \
	  $@/bin/python -m pip install --quiet --prefer-binary "$$tool" || echo "left out: $$tool" >&2; done
	@touch $@

demo: .venv/core ## lint the example specs, then build and audit a small ISO
	@$(PY) examples/demo.py

test: .venv/dev ## run the tests, on all processors; a file's tests share what they build, so they stay together
	@$(PY) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: .venv/dev ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m mypy --strict examples benchmarks website

format: .venv/dev ## format the code
	@$(PY) -m ruff format .

bench: .venv/dev build/peers ## measure all and write docs/benchmarks.md, in half an hour; ONLY="images growth" takes these parts anew
	@$(PY) benchmarks/all.py $(if $(CORPUS),--corpus '$(CORPUS)') $(ONLY)

bench-docs: .venv/dev ## write docs/benchmarks.md and its plots again, from benchmarks/results.json
	@$(PY) benchmarks/page.py

bench-images: .venv/dev build/peers ## measure audits of images and print what comes out; ONLY="initrd.img processes" takes less
	@$(PY) benchmarks/images.py $(ONLY)

guard: .venv/dev ## count the instructions of fixed scenarios, by valgrind, and compare with benchmarks/guard.json
	@$(PY) benchmarks/guard.py $(GUARD)

fuzz: .venv/dev ## bend images, specs and configurations of every format, 100,000 of each; FUZZ="--minutes 60 --jobs 2" or "--seconds 60 squashfs-xz" takes less
	@$(PY) tests/fuzzlab.py $(FUZZ)

mutation: .venv/dev ## change rules and readers, a place at a time, and count what the tests notice; MUTATION="--count 50 rules" takes less
	@$(PY) -m pip install --quiet "cosmic-ray>=8.4"
	@CI=true $(PY) -m benchmarks.mutation $(MUTATION)

docs: .venv/dev ## build the documentation as a site, in build/site; any warning, a link that leads nowhere too, stops it
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet --config-file website/mkdocs.yml

# The same commit gives the same bytes. The bill of materials is of an environment that holds the wheel and what it needs.
dist: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
dist: .venv/dev ## build the wheel and the source archive, check them, and list what the wheel brings along
	@rm -rf dist build/wheel build/sbom
	@$(PY) -m build --outdir dist
	@$(PY) -m twine check --strict dist/*
	@$(PY) -m venv build/wheel
	@build/wheel/bin/python -m pip install --quiet dist/*.whl
	@build/wheel/bin/python -m pip install --quiet --no-index --force-reinstall --no-deps --find-links dist lkscan # else its path is told
	@build/wheel/bin/python -m pip uninstall --quiet --yes pip setuptools
	@mkdir -p build/sbom
	@.venv/bin/cyclonedx-py environment build/wheel --output-reproducible --output-file build/sbom/lkscan.cdx.json

# The wheels for the Python of the package's base image, and the bill of materials; `linuxkit pkg build packaging/lkscan` does the rest.
MANYLINUX = --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux_2_28_x86_64
package: dist ## fill packaging/lkscan with what its image is built of
	@rm -rf packaging/lkscan/wheels
	@$(PY) -m pip download --quiet --dest packaging/lkscan/wheels --only-binary :all: --python-version 3.11 --implementation cp \
	  --abi cp311 --abi abi3 --abi none $(MANYLINUX) dist/*.whl
	@cp build/sbom/lkscan.cdx.json packaging/lkscan/

versions: .venv/dev ## try the wheel on each Python that uv finds, with the oldest and the newest dependencies
	@$(PY) benchmarks/versions.py $(PYTHONS)

clean: ## remove what make made
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
