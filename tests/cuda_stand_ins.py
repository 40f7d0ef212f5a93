"""ONNX Runtime's CUDA provider on a machine without a GPU: it plans, and says which nodes it has no kernel for.

The provider of the wheel onnxruntime-gpu loads as soon as its libraries do. Here these are libraries whose functions do
nothing and report success, so that a session is made as on a device; it must not be run.
"""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Environment variable: the folder that ``pip install --no-deps --target FOLDER onnxruntime-gpu`` made.
VARIABLE = "NALU_ORT_GPU"
_OURS = re.compile(r"lib(cuda|cudart|cublas|cublasLt|cufft|curand|nvrtc)\.so")
# What a session asks of a device before it runs.
_ANSWERS = {
    "cudaGetDeviceCount": "int cudaGetDeviceCount(int* n) { *n = 1; return 0; }",
    "cudaGetDevice": "int cudaGetDevice(int* n) { *n = 0; return 0; }",
    "cudaGetDeviceProperties": "int cudaGetDeviceProperties(char* p, int n) { memset(p, 0, 900); return 0; }",
    "cudaMemGetInfo": "int cudaMemGetInfo(size_t* a, size_t* b) { *a = *b = (size_t)1 << 33; return 0; }",
    "cudaMalloc": "int cudaMalloc(void** p, size_t n) { *p = calloc(1, n); return 0; }",
    "cudaMallocHost": "int cudaMallocHost(void** p, size_t n) { *p = calloc(1, n); return 0; }",
    "cudaHostAlloc": "int cudaHostAlloc(void** p, size_t n, unsigned f) { *p = calloc(1, n); return 0; }",
    "cudaFree": "int cudaFree(void* p) { free(p); return 0; }",
    "cudaFreeHost": "int cudaFreeHost(void* p) { free(p); return 0; }",
}
_SCRIPT = """
import json, pathlib, sys
import onnxruntime
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(path, options, ["CUDAExecutionProvider"], enable_fallback=0)
        said = "" if session.get_providers()[0] == "CUDAExecutionProvider" else "no CUDA provider"
    except Exception as error:
        said = str(error)
    print(json.dumps({path.stem: said}), flush=True)
"""


def unavailable() -> str:
    """Why nothing can be asked of the provider here; empty where it can."""
    site = os.environ.get(VARIABLE)
    if not site:
        return f"{VARIABLE} is not set: it names a folder that holds the wheel onnxruntime-gpu"
    if not _provider(Path(site)).is_file():
        return f"{VARIABLE}={site}: no {_provider(Path(site)).name} there"
    missing = [tool for tool in ("cc", "nm", "readelf") if shutil.which(tool) is None]
    return f"{', '.join(missing)} not found" if missing else ""


def refusals(files: Mapping[str, bytes]) -> dict[str, str]:
    """For each ONNX file, what ONNX Runtime says when all of its nodes have to run on CUDA; empty where they do."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            Path(folder, f"{name}.onnx").write_bytes(data)
        done = run(["-c", _SCRIPT, folder])
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    assert found.keys() == files.keys(), done.stderr[-2000:]
    return found


def run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Python with the wheel in place of the onnxruntime that is installed, and with the stand-ins."""
    site, root = Path(os.environ[VARIABLE]), Path(__file__).parents[1]
    given = {**environment(), "PYTHONPATH": f"{site}{os.pathsep}{root}"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=400)


def environment() -> dict[str, str]:
    """That of a program which finds the stand-ins where it looks for CUDA's libraries."""
    quiet = {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"}
    return os.environ | quiet | {"LD_LIBRARY_PATH": _stand_ins(Path(os.environ[VARIABLE])).name}


def _provider(site: Path) -> Path:
    return site / "onnxruntime" / "capi" / "libonnxruntime_providers_cuda.so"


@functools.cache
def _stand_ins(site: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder of libraries with every function that the provider takes from CUDA's."""
    kept = tempfile.TemporaryDirectory(prefix="cuda-stand-ins-", ignore_cleanup_errors=True)
    folder = Path(kept.name)
    for library, functions in _wanted(_provider(site)).items():
        source, versions = folder / f"{library}.c", folder / f"{library}.map"
        bodies = [_ANSWERS.get(name, f"int {name}(void) {{ return 0; }}") for name in sorted(functions)]
        source.write_text("\n".join(["#include <stdlib.h>", "#include <string.h>", *bodies, ""]))
        versions.write_text(f"{library} {{ global: *; }};\n")
        flags = ["-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{library}", f"-Wl,--version-script,{versions}"]
        subprocess.run(["cc", *flags, "-o", folder / library, source], check=True)
    weakref.finalize(_stand_ins, kept.cleanup)
    return kept


def _wanted(provider: Path) -> dict[str, set[str]]:
    """Libraries of CUDA, and the functions of each; a symbol's version is the name of its library, or it has none."""
    dynamic = subprocess.run(["readelf", "-dW", provider], check=True, capture_output=True, text=True).stdout
    found = {name: set[str]() for name in re.findall(r"NEEDED.*\[(\S+)\]", dynamic) if _OURS.match(name)}
    symbols = subprocess.run(["nm", "-D", "-u", provider], check=True, capture_output=True, text=True).stdout
    by_version = defaultdict[str, set[str]](set)
    for line in symbols.splitlines():
        name, _, version = line.split()[-1].partition("@")
        by_version[version].add(name)
    for library in found:
        found[library] |= by_version[library]
    driver = next(library for library in found if library.startswith("libcuda.so"))
    found[driver] |= {name for name in by_version[""] if re.match(r"cu[A-Z]", name)}
    return found
