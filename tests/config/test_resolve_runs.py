"""The runs that a command names are settled when it is given, and not when its last job begins."""

import pytest

from bmx.config.resolve_runs import write_runs
from bmx.config.verbs import VERBS
from tests.toy_house import write


@pytest.fixture
def newest(tmp_path, monkeypatch):
    """The newest of two runs that hold a model, in ./outputs."""
    monkeypatch.chdir(tmp_path)
    for number in ("20261122-100000-aaaa", "20261122-110000-bbbb"):
        run = tmp_path / "outputs" / "train" / "mlp" / number
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints" / "best.ckpt").write_bytes(b"")
        (run / "config.yaml").write_text("")
    return str(run)


@pytest.mark.parametrize(
    ("verb", "word", "written"),
    [
        ("compress", "run=latest", "run={}"),
        ("compress", "run=latest,20261122-100000", "run={},20261122-100000"),
        ("compress", "run=choice(20261122-100000, latest)", "run=choice(20261122-100000, {})"),
        ("compress", "teacher=latest", "teacher={}"),
        ("compress", "name=latest", "name=latest"),
        ("compress", "run=my/latest-run", "run=my/latest-run"),
        ("train", "init_from=latest", "init_from={}"),
        ("sweep", "init_from=null,latest", "init_from=null,{}"),
        ("evaluate", "run=latest", "run={}"),
        ("export", "run=latest", "run={}"),
    ],
)
def test_latest_is_written_out(newest, verb, word, written):
    assert write_runs([word], VERBS[verb]) == [written.format(newest)]


def test_without_a_run_the_word_is_left_to_be_explained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_runs(["run=latest"], VERBS["compress"]) == ["run=latest"]


def test_the_outputs_of_the_command_are_searched(newest, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    words = [f"outputs={tmp_path / 'outputs'}", "run=latest"]
    assert write_runs(words, VERBS["compress"])[1] == f"run={newest}"


@pytest.mark.parametrize(
    ("verb", "word", "written"),
    [
        ("compress", "run='latest'", "run={}"),
        ("compress", "++run=latest", "++run={}"),
        ("compress", "run=[latest]", "run=[{}]"),
        ("compress", "run='not latest'", "run='not latest'"),
        ("distill", "teacher=latest,'my mlp'", "teacher=[{},'my mlp']"),
        ("distill", 'teacher="latest"', "teacher=[{}]"),
        ("distill", "teacher=[latest],[vit]", "teacher=[{}],[vit]"),
        ("distill", "teacher=choice(latest,[vit,latest])", "teacher=choice({}, [vit,{}])"),
        ("distill", "student='latest'", "student={}"),
        ("distill", "student=latestnet", "model=latestnet"),
        ("bench", "run=latest,model.onnx", "run=[{},'model.onnx']"),
    ],
)
def test_a_value_is_what_hydra_reads(newest, verb, word, written):
    assert write_runs([word], VERBS[verb]) == [written.replace("{}", newest)]


def test_a_folder_with_the_name_of_a_word_is_no_run(newest, tmp_path):
    (tmp_path / "cnn").mkdir()
    assert write_runs(["student=cnn"], VERBS["distill"]) == ["model=cnn"]


@pytest.mark.parametrize("text", ["latest", "${best}", "'latest'"])
@pytest.mark.parametrize("where", ["experiment", "root"])
def test_what_a_file_calls_latest_stays_the_same_run(house, text, where):
    """In the run itself, when it is resumed, and in the words of later jobs."""

    def make(name):
        run = house.work / "outputs" / "train" / "net" / name
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints" / "best.ckpt").write_bytes(b"")
        (run / "config.yaml").write_text("")
        return str(run)

    first = make("20261122-100000-aaaa")
    root = house.conf / "train.yaml"
    line = "init_from: null" if where == "experiment" else f"init_from: {text}"
    root.write_text(root.read_text() + f"best: latest\n{line}\n")
    write(house.conf, {"experiment/on.yaml": f"# @package _global_\n# On.\ninit_from: {text}\n"})
    words = ["experiment=on"] if where == "experiment" else []

    def run(cfg, run_dir):
        (run_dir / "config.yaml").write_text(f"init_from: {cfg.init_from}\n")
        return {"status": "interrupted"}

    house.behave["run"] = run
    house("train", *words)
    cfg, run_dir = house.ran[-1]
    assert cfg.init_from == first
    make("20991122-110000-bbbb")
    assert house("train", f"resume={run_dir.name}").code != 2
    assert house.ran[-1][0].init_from == first
    assert house("train", *words).code != 2
    assert house.ran[-1][0].init_from != first


def test_jobs_of_hydras_own_sweeper_begin_from_the_same_run(house):
    def make(number):
        run = house.work / "outputs" / "train" / "net" / f"2026112{number}-100000-aaaa"
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints" / "best.ckpt").write_bytes(b"")
        (run / "config.yaml").write_text("")
        return str(run)

    first = make(1)
    root = house.conf / "train.yaml"
    root.write_text(root.read_text() + "init_from: latest\n")

    def run(cfg, run_dir):
        make(2 + len(house.ran))
        return {"status": "done"}

    house.behave["run"] = run
    assert house("train", "-m", "launcher=basic", "sweeper=basic", "lr=1,2,3").code == 0
    assert [cfg.init_from for cfg, _ in house.ran] == [first] * 3


@pytest.fixture
def sweep(newest, tmp_path):
    """A sweep of trainings that is newer than both runs."""
    from tests.runs.test_best_job import a_sweep

    return a_sweep(tmp_path / "outputs", run_id="20261123-100000-cccc")


@pytest.mark.parametrize(
    ("verb", "word", "written"),
    [
        ("compress", "run=latest", "run={best}"),
        ("compress", "run=20261123", "run={best}"),
        ("compress", "run=20261123,20261122-100000", "run={best},20261122-100000"),
        ("compress", "teacher={sweep}", "teacher={best}"),
        ("train", "init_from=20261123-100000-cccc", "init_from={best}"),
        ("train", "init_from=latest", "init_from={best}"),
        ("distill", "teacher=latest", "teacher=[{best}]"),
        ("distill", "teacher=20261123,mlp", "teacher=[{best},'mlp']"),
        ("distill", "student={sweep}", "student={best}"),
        ("evaluate", "run={sweep}", "run={best}"),
        ("export", "run=latest", "run={best}"),
        ("bench", "run=20261123,20261122-100000", "run=[{best},{older}]"),
    ],
)
def test_a_sweep_is_written_as_its_best_job(newest, sweep, tmp_path, verb, word, written):
    places = {"best": sweep / "jobs" / "bbb", "sweep": sweep, "older": newest.replace("110000-bbbb", "100000-aaaa")}
    assert write_runs([word.format(**places)], VERBS[verb]) == [written.format(**places)]


def test_a_sweep_that_is_given_again_does_not_mean_itself(newest, sweep):
    """`bmx sweep init_from=latest ...` goes on with the sweep that it made."""
    assert write_runs(["init_from=latest"], VERBS["sweep"], many=True) == [f"init_from={newest}"]


def test_a_sweep_cannot_be_resumed_as_a_run(house, tmp_path):
    from tests.runs.test_best_job import a_sweep

    sweep = a_sweep(house.work / "outputs", command="bmx sweep lr=0.1,0.2")
    called = house("train", f"resume={sweep}")
    assert called.code == 2 and "this is a sweep, not a run" in called.err
    assert "do:    give its command again: bmx sweep lr=0.1,0.2" in called.err
