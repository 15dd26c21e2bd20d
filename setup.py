"""The native modules; everything else about the package stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
SOURCES = sorted((ROOT / "src" / "pronghorn").rglob("*.pyx"))
# The debug build counts what lives, delays and checks hand-overs (debug.pxd). Not for serving.
DEFINED = [("PRONGHORN_DEBUG", "1")] if os.environ.get("PRONGHORN_DEBUG") == "1" else []
CFLAGS = ["-O2", "-fno-strict-aliasing", "-Wall", "-Wextra", "-Wno-unused-parameter"]

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": False,
    # No object of ours can be pickled: each holds a descriptor, memory, or a lock.
    "auto_pickle": False,
}


def extension(source: Path) -> Extension:
    """The extension module that one .pyx file becomes."""
    name = ".".join(source.relative_to(ROOT / "src").with_suffix("").parts)
    return Extension(name, [str(source.relative_to(ROOT))], define_macros=DEFINED, extra_compile_args=CFLAGS)


class BuildNative(build_ext):
    """Translates the .pyx files when, and only when, something is really built."""

    def finalize_options(self) -> None:
        self.distribution.ext_modules[:] = cythonize(
            self.distribution.ext_modules,
            include_path=["src"],
            compiler_directives=DIRECTIVES,
            build_dir="build/cython",
        )
        super().finalize_options()


# fuzz/build.py compiles some of the same sources in its own way.
if __name__ == "__main__":
    setup(ext_modules=[extension(source) for source in SOURCES], cmdclass={"build_ext": BuildNative})
