"""What the process has imported that scripts of `processes` are forked from."""

from traced import share_traces

share_traces()  # before anything imports `build_graph`

import benchmarks.bench.run  # noqa: E402
import benchmarks.sweep.run  # noqa: E402, F401
import exporters.export  # noqa: E402, F401
