"""What the process has imported that scripts of `processes` are forked from."""

import connections  # noqa: F401  # before anything connects
from traced import share_traces

share_traces()  # before anything imports `build_graph`

import app.page.layout  # noqa: E402
import app.server  # noqa: E402, F401
import benchmarks.bench.run  # noqa: E402
import benchmarks.sweep.run  # noqa: E402, F401
import exporters.export  # noqa: E402, F401
