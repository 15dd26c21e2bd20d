"""The native modules; everything else about the package stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parent
SOURCES = sorted((ROOT / "src" / "pronghorn").rglob("*.pyx"))
CFLAGS = ["-O2", "-fno-strict-aliasing", "-Wall", "-Wextra", "-Wno-unused-parameter"]

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": False,
}


def extension(source: Path) -> Extension:
    """The extension module that one .pyx file becomes."""
    name = ".".join(source.relative_to(ROOT / "src").with_suffix("").parts)
    return Extension(name, [str(source.relative_to(ROOT))], extra_compile_args=CFLAGS)


setup(
    ext_modules=cythonize(
        [extension(source) for source in SOURCES],
        include_path=["src"],
        compiler_directives=DIRECTIVES,
        build_dir="build/cython",
        nthreads=os.cpu_count() or 1,
    )
)
