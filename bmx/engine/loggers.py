"""Experiment trackers besides metrics.csv: TensorBoard, Weights & Biases, MLflow, each an extra of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger

from bmx.extras import need

# A small file that lets a resumed run continue in the same tracker entry.
_ID_FILE = "{}_id.txt"


def tensorboard(run_dir: Path, steps_before: int, flush_secs: int = 30) -> Logger:
    """TensorBoard event files in ``<run>/tensorboard``; ``tensorboard --logdir outputs`` shows all runs.

    Args:
        run_dir: the run directory.
        steps_before: steps that a resumed run has behind it; events after them are purged.
        flush_secs: seconds between two writes to disk.
    """
    need("tensorboard", "logger=tensorboard")
    from pytorch_lightning.loggers import TensorBoardLogger

    # A run that was stopped before its first checkpoint begins again, and has left rows behind too.
    begun = steps_before > 0 or any((run_dir / "tensorboard").glob("events.*"))
    purge: dict[str, Any] = {"purge_step": steps_before + 1} if begun else {}
    return TensorBoardLogger(
        run_dir, name="", version="tensorboard", default_hp_metric=False, flush_secs=flush_secs, **purge
    )


def wandb(
    run_dir: Path, steps_before: int, project: str = "bmx", mode: str = "offline", tags: list[str] | None = None
) -> Logger:
    """Weights & Biases.

    Args:
        run_dir: the run directory; the local files go into ``<run>/wandb``.
        steps_before: steps that a resumed run has behind it.
        project: the project's name.
        mode: ``offline`` keeps everything in the run directory until ``wandb sync``; ``online`` needs a login.
        tags: words to find the run by.
    """
    need("wandb", "logger=wandb")
    from pytorch_lightning.loggers import WandbLogger

    class OneRun(WandbLogger):
        """Ends its entry with the fit: a later run in the same process would be written into it."""

        def finalize(self, status: str) -> None:
            super().finalize(status)
            self.experiment.finish()

    run_id = _kept_id(run_dir, "wandb")
    return OneRun(
        project=project,
        name=run_dir.parent.name,
        save_dir=run_dir,
        id=run_id,
        resume="allow",
        mode=mode,
        tags=tags,
        settings=_quiet_wandb(),
    )


def _quiet_wandb() -> Any:
    import wandb as library

    return library.Settings(silent=True, console="off")


def mlflow(run_dir: Path, steps_before: int, experiment: str = "bmx", tracking_uri: str | None = None) -> Logger:
    """MLflow.

    Args:
        run_dir: the run directory.
        steps_before: steps that a resumed run has behind it.
        experiment: the experiment's name.
        tracking_uri: a server or folder; null is a sqlite file in ``<run>/mlflow``.
    """
    need("mlflow", "logger=mlflow")
    from pytorch_lightning.loggers import MLFlowLogger

    folder = run_dir / "mlflow"
    folder.mkdir(exist_ok=True)
    file = run_dir / _ID_FILE.format("mlflow")
    known = file.read_text().strip() if steps_before and file.exists() else None
    logger = MLFlowLogger(
        experiment_name=experiment,
        run_name=run_dir.parent.name,
        tracking_uri=tracking_uri or f"sqlite:///{folder.resolve()}/mlflow.db",
        artifact_location=str(folder.resolve() / "artifacts"),
        run_id=known,
    )
    file.write_text(str(logger.run_id))
    return logger


def _kept_id(run_dir: Path, tracker: str) -> str:
    file = run_dir / _ID_FILE.format(tracker)
    if not file.exists():
        file.write_text(run_dir.name)
    return file.read_text().strip()
