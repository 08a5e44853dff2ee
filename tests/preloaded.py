"""What the server has imported that the processes of the tests are forked from; see :mod:`tests.warm_process`."""

import os
import sys
import tempfile

from bmx.sweep.workers.forkserver import warm_up
from bmx.sweep.workers.processes import PRELOAD

VERBS = [f"bmx.verbs.{verb}.command" for verb in ("train", "compress", "distill", "export", "evaluate", "bench")]

_folder, _path, _conf = os.getcwd(), list(sys.path), os.environ.pop("BMX_CONF", None)  # noqa: PTH109
with tempfile.TemporaryDirectory() as _empty:
    os.chdir(_empty)
    try:
        warm_up([*PRELOAD, "bmx.engine.fit", *VERBS, "bmx.cli.main", "bmx.config.compose:compose:train"])
    finally:
        os.chdir(_folder)
        sys.path[:] = _path
        if _conf is not None:
            os.environ["BMX_CONF"] = _conf
