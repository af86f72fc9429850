"""The benchmarks: `python -m bench.run` measures each section beside a peer or a limit. `make bench` runs them all."""
