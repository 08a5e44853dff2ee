"""bmx VERB --help: groups, keys with their comments, flags, examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.cli.help import option_table
from bmx.cli.main import main
from bmx.config.compose import compose
from bmx.config.flags import FLAGS
from bmx.config.keys import keys
from bmx.config.raw import compose_raw
from bmx.config.schema import declaration_of, schema
from bmx.config.verbs import VERBS
from bmx.config.yaml_source import read
from bmx.verbs.completion.command import candidates
from tests.toy_house import tree, write


def line(text, start):
    return next((found for found in text.splitlines() if found.strip().startswith(start)), "")


def test_groups_keys_flags_and_examples(house):
    called = house("train", "--help")
    out = called.out
    assert called.code == 0 and tree(house.work) == {}
    assert line(out, "model ").split() == ["model", "cnn", "*net"]
    assert line(out, "experiment ").split() == ["experiment", "fast"]
    assert line(out, "lr =").split(maxsplit=3)[3] == "Step size, of whichever optimiser. [float > 0 or auto]"
    assert "Passes over the training set." in line(out, "epochs = 10")
    assert "A switch." in line(out, "nested.switch = true")
    assert "Fraction kept." in line(out, "optim.momentum = 0.9")
    assert "Units." in line(out, "model.width = 3")
    assert "A net." in out and "my_net.Net" in out
    assert all(flag.name in out for flag in FLAGS)
    assert all(example in out for example in VERBS["train"].examples)
    assert "\033" not in out


def test_experiments_of_other_verbs_are_not_offered(house):
    write(house.work / "bmx_conf", {
        "experiment/other.yaml": "# @package _global_\n# Other.\ndefaults:\n  - override /elsewhere: x\n",
        "experiment/odd.yaml": "# @package _global_\n# Odd.\ndefaults: [: {\n",
    })  # fmt: skip
    assert line(house("train", "--help").out, "experiment ").split() == ["experiment", "fast", "odd"]
    assert candidates("bmx train experiment=") == ["experiment=fast", "experiment=odd"]


def test_it_honours_the_words_given(house):
    out = house("train", "model=cnn", "optim=adam", "--help").out
    assert line(out, "model ").split() == ["model", "*cnn", "net"]
    assert "Layers." in line(out, "model.depth = 2") and "model.width" not in out
    assert "betas = [0.9, 0.999]" in out and "Decay rates." in out
    assert "lr = 0.001" in out
    assert "-h, --help" in house("train", "-h", "-m", "lr=1,2").out


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_every_key_is_there(house, verb):
    out = house(verb, "--help").out
    for key in keys(compose(verb)):
        if not key.endswith("_target_") and key not in ("model", "optim", "data", "nested"):
            assert line(out, f"{key} ="), key


def test_users_words_and_comments_are_there(house):
    write(
        house.work / "bmx_conf", {"model/mine.yaml": "# Mine.\n_target_: a.B\n# Mine too,\n# on two lines.\nwidth: 1\n"}
    )
    out = house("train", "model=mine", "--help").out
    assert "*mine" in out and "Mine too, on two lines." in line(out, "model.width = 1")


def test_comments_belong_to_the_key_below_them(tmp_path):
    write(
        tmp_path,
        {
            "x.yaml": """
                # @package _global_
                # The word.
                # First key.
                a: 1
                b: 2

                # Not of c.

                c: 3
                d:
                  # Inner.
                  e: [1, 2]
                  f: {g: 1}
                """
        },
    )
    found = {key: (entry.line, entry.comment) for key, entry in read(tmp_path / "x.yaml")}
    assert found == {
        "a": (4, "First key."),
        "b": (5, ""),
        "c": (9, ""),
        "d": (10, ""),
        "d.e": (12, "Inner."),
        "d.f": (13, ""),
    }


@given(
    st.lists(st.tuples(st.from_regex(r"[a-z.]{1,60} = [a-z0-9]{1,30}", fullmatch=True), st.text("ab ", max_size=200)))
)
def test_a_table_keeps_every_word_and_its_width(rows):
    text = option_table(rows, 80)
    assert "".join(text.split()) == "".join("".join(name + help for name, help in rows).split())
    assert all(len(row) <= 80 or " " not in row.strip() or " = " in row for row in text.splitlines())


@pytest.mark.parametrize(
    "words", [["train"], ["train", "optim=gd", "data=iris", "scheduler=cosine"], ["sweep"], ["distill"]]
)
def test_what_groups_set_does_not_hide_what_keys_take(words, capsys, monkeypatch, tmp_path):
    """On bmx's own configuration: optimisers and data sets set lr and batch_size with comments of their own."""
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for text in (
        "`auto` makes a learning-rate range test",
        "`auto` doubles while it pays and fits",
        "`full` takes the",
    ):
        assert text in out


def test_every_word_that_a_key_takes_is_on_the_page(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for words in (["compress", "compression=quantize"], ["train", "model=cnn"], ["export"], ["evaluate"], ["bench"]):
        assert main([*words, "--help"]) == 0
        out = capsys.readouterr().out
        for key, entry in schema(words[0]).root.items():
            choices = declaration_of(entry).choices if entry.declares else ()
            assert all(word in out for word in choices if word not in ("true", "false")), key


@pytest.mark.parametrize("columns", [80, 120])
def test_every_key_says_what_it_takes(columns, capsys, monkeypatch, tmp_path):
    """The type and range that are checked: in words that the comment names, or else in brackets behind it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    for verb, *words in (
        ["train", "model=cnn", "optim=adam", "scheduler=one_cycle"],
        ["distill", "distillation=dkd"],
        ["compress", "compression=prune"],
        ["evaluate"],
        ["bench"],
        ["export"],
        ["sweep"],
    ):
        assert main([verb, *words, "--help"]) == 0
        out = capsys.readouterr().out
        wide = [row for row in out.splitlines() if len(row) > columns]
        assert all(" = " in row or row.startswith(("usage", "  bmx ")) for row in wide), wide
        assert "\N{NO-BREAK SPACE}" not in out
        config = compose_raw(verb, words).config
        seen = 0
        for key in keys(config):
            declared = schema(VERBS[verb].config).declared(key, config)
            said = paragraph(out, key) if declared is not None else ""
            if not said:
                continue
            seen += 1
            brief = declared.text.partition(", such as")[0]
            assert f"[{brief}]" in said or all(word in said for word in declared.choices), key
        assert seen > 5
        for word, key in VERBS[verb].aliases.items():
            if key.startswith("hydra.") and not key.endswith("dir"):
                assert paragraph(out, word).endswith("]") or " or " in paragraph(out, word), word


def paragraph(page, key):
    """What the page says of a key, on one line."""
    rows = page.splitlines()
    first = next((n for n, row in enumerate(rows) if row.startswith(f"  {key} = ")), None)
    if first is None:
        return ""
    last = next(n for n in range(first + 1, len(rows)) if not rows[n].startswith("    "))
    return " ".join(" ".join(rows[first:last]).split())


def test_words_that_the_comment_names_are_not_said_again(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--help"]) == 0
    out = capsys.readouterr().out
    assert paragraph(out, "device") == "device = auto auto, cpu, cuda, cuda:1 or mps."
    assert paragraph(out, "epochs").endswith("Passes over the training set. [int >= 1]")
    assert paragraph(out, "plots").endswith("[bool]")
    assert paragraph(out, "optim.momentum").endswith("[float in [0, 1)]")
    assert paragraph(out, "regularization.patience").endswith("[int >= 1 or null]")
