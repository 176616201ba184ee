"""Build the extension for Python's stable interface: one wheel serves 3.11 and every later version."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "collector_kernel.kernel",
            ["collector_kernel/kernel.c"],
            py_limited_api=True,
            # Products are not to be added to in one rounding step: results are Python's to the last bit.
            extra_compile_args=["-O2", "-ffp-contract=off"],
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
