"""Words that are lists for one job, and flags that stand for a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

import bmx
from bmx.cli.main import main
from bmx.config.folders import conf_dir
from bmx.config.overrides import rewrite_words, write_lists, write_switches
from bmx.config.schema import declaration_of
from bmx.config.value_kinds import List, Text
from bmx.config.verbs import VERBS
from bmx.config.yaml_comments import load


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("run=a,b", "run=['a','b']"),
        ("run=a", "run=['a']"),
        ("run=[a, b=1]", "run=['a','b=1']"),
        ("run=['a',b]", "run=['a',b]"),
        ("run=[a],[b]", "run=[a],[b]"),
        ("run=[]", "run=[]"),
        ("run=null", "run=null"),
        ("run=outputs/x=1/a, b", "run=['outputs/x=1/a','b']"),
        ("run=it's", "run=['it\\'s']"),
        ("run='a,b'", "run='a,b'"),
        ("batch_sizes=1,256", "batch_sizes=[1,256]"),
        ("model=a,b", "model=a,b"),
        ("run.x=a,b", "run.x=a,b"),
    ],
)
def test_lists(word: str, written: str) -> None:
    assert write_lists([word], ("run", "batch_sizes")) == [written]


def test_hydra_reads_what_is_written() -> None:
    config = bmx.compose("bench", ["model=lenet5", "engines=eager,onnx", "batch_sizes=1,64"])
    assert list(config.engines) == ["eager", "onnx"] and list(config.batch_sizes) == [1, 64]


@given(st.lists(st.text("ab=+:/.-_ ()'\\é7", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=3))
def test_any_path_survives(paths: list[str]) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if paths[0][0] in "['\"$":
        return
    paths = [path for path in paths if path[0] not in "'\""] or ["x"]
    (word,) = write_lists(["run=" + ",".join(paths)], ("run",))
    value = OverridesParser.create().parse_override(word).value()
    numbers = [int(path) if path.lstrip("-").isdigit() else path for path in paths]
    assert value == numbers or [str(v) for v in value] == paths


def test_switches() -> None:
    assert write_switches(["a=1", "--plan"], {"--plan": ("plan=true", "")}) == ["a=1", "plan=true"]


def test_a_switch_is_in_the_help_of_its_verb_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    assert "--plan" in capsys.readouterr().out
    assert main(["bench", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--plan" not in said and "batch_sizes" in said
    assert main(["bench", "model=lenet5", "--plan"]) == 2


NUMBERLIKE = ["1e3", "1.50", "007", "1_000", "0x10", "+5", "1E-3", "-0", "true", "off", "nan", "2026-01-01"]
LISTS_OF_NAMES = [
    ("distill", ["teacher=mlp"], "teacher"),
    ("distill", ["teacher=mlp"], "teacher_words"),
    ("bench", [], "run"),
    ("train", [], "trust"),
    ("compress", ["run=x", "compression=pipeline"], "stages"),
    ("compress", ["run=x", "compression=quantize_weights"], "compression.skip"),
    ("distill", ["teacher=mlp", "distillation=fitnet"], "distillation.student_layers"),
    ("train", ["logger=wandb"], "logger.wandb.tags"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "words", "key"), LISTS_OF_NAMES)
def test_names_that_look_like_numbers_keep_their_spelling_in_lists(verb, words, key, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for names in (NUMBERLIKE, ["1e3"], ["a", "2.50"]):
        found = OmegaConf.select(bmx.compose(verb, [*words, f"{key}=[{','.join(names)}]"]), key)
        assert list(found) == names
    assert list(OmegaConf.select(bmx.compose(verb, [*words, f"{key}=['1e3', x]"]), key)) == ["1e3", "x"]
    if verb == "bench":  # whose configuration no file changes
        return
    for text in ("[1e3, 1.50, 'a b']", "\n  - 1e3\n  - '1.50'\n  - a b"):  # as a file has them
        (tmp_path / "bmx_conf" / "experiment").mkdir(parents=True, exist_ok=True)
        node, _, last = key.rpartition(".")
        held = "".join(f"{'  ' * n}{part}:\n" for n, part in enumerate(node.split("."))) if node else ""
        inset = "  " * (node.count(".") + 1) if node else ""
        body = text.replace("\n", f"\n{inset}")
        file = f"# @package _global_\n# Mine.\n#   bmx {verb} experiment=mine\n{held}{inset}{last}: {body}\n"
        (tmp_path / "bmx_conf" / "experiment" / "mine.yaml").write_text(file)
        given = [word for word in words if not word.startswith(f"{key}=")]
        found = OmegaConf.select(bmx.compose(verb, [*given, "experiment=mine"]), key)
        assert list(found) == ["1e3", "1.50", "a b"]


def test_every_list_of_names_is_tried() -> None:
    """Those above are all that conf/ declares."""
    known = set()
    for path in conf_dir().rglob("*.yaml"):
        for key, entry in load(path).entries.items():
            kinds = declaration_of(entry).kinds if entry.declares else ()
            if any(
                isinstance(kind, List) and isinstance(kind.item, Text) and kind.item.about != "class" for kind in kinds
            ):
                known.add(key.rpartition(".")[2])
    tried = {key.rpartition(".")[2] for _, _, key in LISTS_OF_NAMES}
    assert known - {"objective", "space"} == tried | {"teacher_layers"}


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("name=1e3,2e3", "name='1e3','2e3'"),
        ("name=1e3", "name='1e3'"),
        ("name=a, 007,5", "name=a,'007',5"),
        ("trust=[1e3,x],[2.50]", "trust=['1e3',x],['2.50']"),
        ("lr=1e3,2e3", "lr=1e3,2e3"),
        ("name='1e3',2e3", "name='1e3',2e3"),
        ("data.leave_out=[1],[2]", "data.leave_out=[1],[2]"),
        ("name=range(1,3)", "name=range(1,3)"),
        ("outputs=run-1e3,a1.50", "outputs=run-1e3,a1.50"),
        ("~name", "~name"),
    ],
)
def test_names_of_a_sweep_are_written_so_that_hydra_keeps_them(word: str, written: str) -> None:
    assert rewrite_words([word], VERBS["train"], many=True) == [written]
    assert rewrite_words([word], VERBS["train"]) == [word]
