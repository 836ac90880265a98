# SPDX-License-Identifier: MIT
"""Small libraries that the laboratory puts in front of a program's own."""
import os
import subprocess

from .util import ROOT, LabError

FOLDER = os.path.dirname(os.path.abspath(__file__))


def compile_library(name, folder):
    """Compiles NAME.c of the laboratory as a shared object in the folder; returns its path."""
    source, library = os.path.join(FOLDER, name + ".c"), os.path.join(folder, name + ".so")
    argv = ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", "-I", ROOT, "-o",
            library, source, "-ldl"]
    p = subprocess.run(argv, capture_output=True, text=True, check=False)
    if p.returncode:
        raise LabError(f"{source} does not compile: {p.stderr}")
    return library


def preloaded(name, folder, *more):
    """The environment of a program with NAME.c of the laboratory (and others) in front of its own libraries, below a sanitizer,
    too."""
    of_asan = os.environ.get("ASAN_OPTIONS")
    return {"LD_PRELOAD": ":".join(compile_library(one, folder) for one in (name, *more)),
            "ASAN_OPTIONS": ":".join([*([of_asan] if of_asan else []), "verify_asan_link_order=0"])}
