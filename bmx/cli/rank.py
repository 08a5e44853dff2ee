"""One of the further processes of a run: ``bmx _rank VERB RUN_DIR PARENT``, which rank 0 starts."""

from __future__ import annotations

import signal
from pathlib import Path

from omegaconf import OmegaConf

from bmx.config.search_path import extend_sys_path
from bmx.config.verbs import VERBS
from bmx.sweep.workers.process_group import die_with_parent
from bmx.targets.entry_point import locate


def run(verb: str, run_dir: str, parent: str) -> int:
    """Trains beside rank 0 until the training ends; writes nothing but what it says.

    Args:
        verb: whose run it is.
        run_dir: its directory, which holds the configuration.
        parent: the process id of rank 0.
    """
    die_with_parent(int(parent))
    # Rank 0 decides: it saves what there is and ends the others.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    extend_sys_path(None)
    cfg = OmegaConf.load(Path(run_dir) / "config.yaml")
    locate(VERBS[verb].rank)(cfg, Path(run_dir))
    return 0
