"""-m with Hydra's own sweeper and launcher: many jobs in numbered directories, none of which takes the others down."""

import pytest

from bmx.errors import RunFailed, UsageError

# bmx's own are tested in tests/sweep; these run in this process, where the stub verbs are.
FOREIGN = ("launcher=basic", "sweeper=basic")


def directories(house):
    (sweep,) = house.runs("sweep")
    return sweep, [run_dir for _, run_dir in house.ran]


def test_jobs_have_numbered_directories_in_one_sweep(house):
    assert house("train", "-m", *FOREIGN, "lr=1,2", "epochs=3,4").code == 0
    sweep, jobs = directories(house)
    assert jobs == [sweep / str(number) for number in range(4)]
    assert [(cfg.lr, cfg.epochs) for cfg, _ in house.ran] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert all(cfg.name == "net-toy-sgd" for cfg, _ in house.ran)
    assert not (house.work / "outputs" / "train").exists()
    assert all((job / ".hydra" / "overrides.yaml").exists() and (job / "log.txt").exists() for job in jobs)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["model=net,cnn"], "net+cnn-toy-sgd"),
        (["model=glob(*)", "optim=adam,sgd"], "cnn+net-toy-adam+sgd"),
        (["lr=1,2", "name=mine"], "mine"),
        (["lr=1,2", "experiment=fast"], "fast"),
    ],
)
def test_a_sweep_is_named_by_what_it_runs_through(house, words, name):
    assert house("train", "-m", *FOREIGN, *words).code == 0
    assert directories(house)[0].parent.name == name


def test_each_job_is_named_by_its_own_words(house):
    house("train", "-m", *FOREIGN, "model=net,cnn")
    assert [cfg.name for cfg, _ in house.ran] == ["net-toy-sgd", "cnn-toy-sgd"]


def test_a_failing_job_lets_the_others_run_and_the_sweep_fail(house):
    def run(cfg, run_dir):
        if cfg.lr == 1:
            raise ValueError("no")
        if cfg.lr == 2:
            raise RunFailed("nan")
        return {"status": "failed"} if cfg.lr == 3 else {"status": "done"}

    house.behave["run"] = run
    called = house("train", "-m", *FOREIGN, "lr=1,2,3,4")
    sweep, jobs = directories(house)
    assert called.code == 1 and len(jobs) == 4
    assert "Traceback" not in called.err
    assert "3 of 4 jobs failed" in called.err and f"{sweep.name}/0" in called.err
    assert "ValueError: no" in (sweep / "0" / "log.txt").read_text()


def test_an_interrupt_ends_the_sweep(house):
    house.behave["run"] = lambda cfg, run_dir: {"status": "interrupted" if cfg.lr == 2 else "done"}
    called = house("train", "-m", *FOREIGN, "lr=1,2,3")
    assert called.code == 130 and len(house.ran) == 2
    assert "interrupted; 1 job done" in called.err


def test_each_job_is_checked_before_it_starts(house):
    def refuse(cfg):
        if cfg.lr == 1:
            raise UsageError("no", "lr", "two")

    house.behave["check"] = refuse
    called = house("train", "-m", *FOREIGN, "lr=1,2")
    assert called.code == 1 and [cfg.lr for cfg, _ in house.ran] == [2]
    assert [cfg.lr for cfg in house.checked] == [1, 2]


def test_a_job_that_does_not_compose_fails_alone(house):
    # Each word alone is right; only the two together are wrong, which no check of single words sees.
    (house.conf / "model" / "odd.yaml").write_text("# Odd.\n_target_: my_net.Odd\nwidth: ${optim.momentum}\n")
    called = house("train", "-m", *FOREIGN, "model=net,odd", "optim=sgd,adam")
    assert called.code == 1 and len(house.ran) == 3
    assert "Traceback" not in called.err and "momentum" in called.err and "1 of 4 jobs failed" in called.err


def test_a_sweep_directory_of_the_users_own(house):
    assert house("train", "-m", *FOREIGN, "lr=1,2", "hydra.sweep.dir=mine").code == 0
    assert [run_dir for _, run_dir in house.ran] == [house.work / "mine" / "0", house.work / "mine" / "1"]


def test_a_job_in_another_process_carries_its_failure_as_an_exception(house, monkeypatch):
    monkeypatch.setattr("bmx.cli.hydra_app.os", type("os", (), {"getpid": staticmethod(lambda: -1)}))
    house.behave["run"] = lambda cfg, run_dir: {"status": "failed"}
    called = house("train", "-m", *FOREIGN, "lr=1,2")
    assert called.code == 1 and "Traceback" not in called.err
