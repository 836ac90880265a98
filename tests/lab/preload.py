# SPDX-License-Identifier: MIT
"""Small libraries that the laboratory puts in front of a program's own."""
import os
import subprocess

from .util import LabError

FOLDER = os.path.dirname(os.path.abspath(__file__))


def compile_library(name, folder):
    """Compiles NAME.c of the laboratory as a shared object in the folder; returns its path."""
    source, library = os.path.join(FOLDER, name + ".c"), os.path.join(folder, name + ".so")
    argv = ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", "-o", library,
            source, "-ldl"]
    p = subprocess.run(argv, capture_output=True, text=True, check=False)
    if p.returncode:
        raise LabError(f"{source} does not compile: {p.stderr}")
    return library


def preloaded(name, folder):
    """The environment of a program with NAME.c of the laboratory in front of its own libraries, below a sanitizer, too."""
    options = os.environ.get("ASAN_OPTIONS")
    return {"LD_PRELOAD": compile_library(name, folder),
            "ASAN_OPTIONS": ":".join([*([options] if options else []), "verify_asan_link_order=0"])}
