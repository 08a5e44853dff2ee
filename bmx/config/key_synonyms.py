"""Synonyms of configuration keys in other programs: ``learning_rate``, ``num_epochs``, ``optimizer``."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES: Mapping[str, str] = {
    "lr": "learning_rate lrate eta step_size base_lr init_lr",
    "epochs": "num_epochs n_epochs max_epochs epoch train_epochs num_train_epochs ep",
    "batch_size": "bs batch batchsize train_batch_size per_device_train_batch_size minibatch bsz",
    "optim": "optimizer optimiser opt solver",
    "data": "dataset ds datamodule",
    "model": "arch architecture net network backbone",
    "scheduler": "sched lr_scheduler schedule lr_schedule lr_scheduler_type",
    "augmentation": "aug augment augmentations transforms",
    "metrics": "metric extra_metrics",
    "logger": "log loggers report_to tracker",
    "precision": "dtype amp fp16 mixed_precision",
    "device": "accelerator devices gpu gpus cuda",
    "outputs": "output_dir out_dir out output save_dir log_dir root_dir results_dir o default_root_dir",
    "data.dir": "data_dir data_root data_path dataset_path root",
    "seed": "random_seed manual_seed rng_seed random_state seed_everything",
    "data.workers": "workers num_workers n_workers dataloader_num_workers",
    "data.val_size": "val_size val_split validation_split validation_size val_fraction valid_size",
    "optim.weight_decay": "wd weight_decay",
    "optim.momentum": "momentum",
    "regularization.dropout": "dropout dropout_rate",
    "regularization.patience": "patience early_stopping early_stopping_patience",
    "regularization.l1": "l1",
    "regularization.l2": "l2",
    "scheduler.warmup": "warmup warmup_epochs",
    "trainer.accumulate": "accumulate grad_accum accumulate_grad_batches gradient_accumulation_steps",
    "trainer.clip_norm": "clip clip_norm grad_clip clip_grad gradient_clip_val max_grad_norm",
    "trainer.log_every": "log_every log_interval log_every_n_steps logging_steps print_freq",
    "trainer.threads": "threads num_threads n_threads",
    "checkpoint.every": "save_steps save_every checkpoint_every save_freq",
    "resume": "resume_from resume_from_checkpoint ckpt_path",
    "init_from": "pretrained weights init_from finetune init load_from",
    "run": "checkpoint ckpt checkpoint_path model_path run_id",
    "name": "run_name exp_name experiment_name",
    "plots": "plot",
    "compile": "torch_compile",
    "distillation.temperature": "temperature temp",
    "engines": "engine backend backends",
    "batch_sizes": "batchsizes",
    "format": "export_format",
    "jobs": "n_jobs num_jobs parallel",
    "trials": "n_trials num_trials",
    "student": "student_model",
    "teacher": "teacher_model",
}

ELSEWHERE: Mapping[str, str] = {name: key for key, names in _NAMES.items() for name in names.split()}
"""The key of each synonym."""
