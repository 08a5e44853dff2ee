from pathlib import Path

import pytest
import torch

import bmx
from bmx.cli.main import main
from bmx.engine import estimate
from bmx.verbs.train.plan import plan

WORDS = ["model=lenet5", "data=digits", "batch_size=32", "epochs=3"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    full = estimate.time_needed
    monkeypatch.setattr("bmx.verbs.train.plan.time_needed", lambda prepared, net: full(prepared, net, seconds=0.2))


def test_a_plan_says_what_the_run_would_take(tmp_path: Path) -> None:
    found = plan(bmx.compose("train", [*WORDS, "optim=adam", f"outputs={tmp_path / 'new'}"]), quiet=True)
    assert found["cost"]["parameters"] == 61_706 and found["cost"]["macs"] == 416_520
    assert found["steps"] == 3 * 41
    memory, seconds = found["memory"], found["seconds"]
    assert memory["weights"] == 4 * 61_706
    assert memory["optimizer"] == pytest.approx(2 * memory["weights"], rel=0.01)
    assert memory["total"] == sum(memory[key] for key in ("weights", "step", "optimizer", "data"))
    assert memory["fits"]
    # 1,294 samples are 40.4 batches.
    whole = seconds["step"] * 1294 / 32 + seconds["validation"] + seconds["checkpoint"]
    assert seconds["epoch"] == pytest.approx(whole) and seconds["total"] == pytest.approx(3 * whole)
    assert found["disk"]["needed"] > 3 * memory["weights"]
    assert found["warnings"] == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("ask", ["--plan", "plan=true"])
def test_the_flag_and_the_word_leave_no_run_directory(
    ask: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *WORDS, ask]) == 0
    said = capsys.readouterr().out
    assert "plan of lenet5-digits-sgd on digits: about" in said and "3 epochs of" in said
    assert list(tmp_path.iterdir()) == []


def test_training_with_plan_from_python_is_a_plan(tmp_path: Path) -> None:
    found = bmx.train(bmx.compose("train", [*WORDS, "plan=true", f"outputs={tmp_path / 'new'}"]), quiet=True)
    assert found["status"] == "planned" and not (tmp_path / "new").exists()


def test_what_does_not_fit_is_said_and_not_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(estimate, "available_memory", lambda: 1_000_000)
    monkeypatch.setattr("bmx.verbs.train.plan.time_needed", lambda *_: pytest.fail("steps were made"))
    assert main(["train", *WORDS, "--plan"]) == 0
    said = capsys.readouterr().out
    assert "does not fit into memory" in said and "try batch_size=16" in said


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bmx.verbs.train.plan.free_bytes", lambda _: 1000)
    found = plan(bmx.compose("train", WORDS), quiet=True)
    assert any("disk will not be enough" in warning for warning in found["warnings"])


def test_the_run_begins_as_if_there_had_been_no_plan() -> None:
    from bmx.engine import fit
    from bmx.engine.prepare import prepare

    prepared = prepare(bmx.compose("train", WORDS))
    net = fit.build_net(prepared)
    weights, random = [p.detach().clone() for p in net.parameters()], torch.get_rng_state()
    estimate.memory_needed(prepared, net)
    estimate.time_needed(prepared, net, seconds=0.05)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(old, new) for old, new in zip(weights, net.parameters(), strict=True))


@pytest.mark.parametrize(
    "words", [["optim=sgd"], ["trainer.accumulate=4"], ["precision=bf16-mixed"], ["data.val_size=0"]]
)
def test_every_kind_of_step_can_be_forecast(words: list[str]) -> None:
    found = plan(bmx.compose("train", [*WORDS, *words]), quiet=True)
    assert found["seconds"]["total"] > 0 and found["memory"]["step"] > 0


def test_a_wrong_configuration_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "model=lenet5", "data=iris", "--plan"]) == 2
    assert "reads images" in capsys.readouterr().err


def test_a_sweep_has_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "lr=0.1,0.2", "--plan", f"outputs={tmp_path / 'new'}"]) == 2
    assert "a plan is of one run" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
