"""Whole words at every width, the signs that the locale has, and a foot that leaves nothing behind."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bmx.engine.display import EpochTable, bar
from bmx.runs.report import foot, signs
from bmx.runs.report.folding import folded, width_of
from bmx.runs.report.paper import Paper
from bmx.runs.report.signs import charset, spelled
from bmx.runs.report.table import TextTable
from tests.screen import Screen
from tests.terminal.seen import broken_words

# Without symbols that change the one before them: terminals do not agree on how wide those are.
word = st.text(st.characters(categories=("Lu", "Ll", "Lo", "N", "P", "Sm", "Sc")), min_size=1, max_size=12)
line = st.lists(word, min_size=1, max_size=12).map(" ".join)
ordinary = st.text("abcdefghij0123456789.%±–", min_size=1, max_size=9)


@given(line, st.integers(5, 120))
def test_a_folded_line_has_the_same_words_and_breaks_none(text: str, width: int) -> None:
    parts = folded(text, width)
    assert " ".join(parts).split() == text.split()
    for part in parts:
        assert width_of(part) <= width or len(part.split()) == 1


def test_what_comes_after_the_first_line_is_set_in() -> None:
    assert folded("  do:    one two three four", 20) == ["  do:    one two", "    three four"]
    path = "a/" * 30
    assert folded(f"run  {path}", 20) == ["run", path], (
        "a path that is too long gets a line of its own, and stays whole"
    )


@given(st.lists(ordinary, min_size=1, max_size=9), st.integers(20, 60))
def test_a_command_that_is_folded_is_the_same_command_to_a_shell(words: list[str], width: int) -> None:
    command = shlex.join(["bmx", "train", *(f"key.{word}={word}" for word in words)])
    parts = folded(f"again  {command}", width)
    assert shlex.split("\n".join(parts).replace("\\\n", " "))[1:] == shlex.split(command)
    assert all(part.endswith(" \\") for part in parts[:-1] if "bmx" in part)


@given(st.text("\x1b[1m", max_size=0) | line, st.integers(10, 60))
def test_colours_take_no_room(text: str, width: int) -> None:
    coloured = "\x1b[1;32m" + text + "\x1b[0m"
    assert width_of(coloured) == width_of(text)
    assert len(folded(coloured, width)) == len(folded(text, width))


cell = st.lists(ordinary, max_size=3).map(" ".join)
table_of = st.integers(1, 6).flatmap(
    lambda columns: st.tuples(
        st.lists(st.tuples(line, st.booleans(), st.booleans(), st.integers(0, 2)), min_size=columns, max_size=columns),
        st.lists(
            st.lists(st.lists(ordinary, max_size=3).map(" ".join), min_size=columns, max_size=columns), max_size=5
        ),
    )
)


@given(table_of, st.integers(4, 160))
def test_a_table_of_any_width_breaks_no_word(made: tuple[list, list], width: int) -> None:
    columns, rows = made
    table = TextTable()
    for heading, right, wraps, spare in columns:
        table.add_column(heading, right=right, wraps=wraps, spare=spare)
    for row in rows:
        table.add_row(*row)
    shown = [text.plain for text in table.laid_out(width)]
    words = {word for text in shown for word in text.split()}
    kept = [i for i, (_, _, _, spare) in enumerate(columns) if not spare]
    assert {word for row in rows for i in kept for word in row[i].split()} <= words
    every = {word for heading, *_ in columns for word in heading.split()} | {
        w for r in rows for c in r for w in c.split()
    }
    assert words <= every
    widest = max((cell_len(word) for word in every), default=0)
    assert all(cell_len(text) <= max(width, 3 * widest) for text in shown)
    if widest + 2 <= width:
        assert all(cell_len(text) <= width for text in shown if len(text.split()) > 2)


def test_a_table_is_turned_on_its_side_where_its_columns_have_no_room() -> None:
    table = TextTable()
    for heading in ("", "accuracy", "95 % interval", "parameters", "batch 256"):
        table.add_column(heading, right=True)
    table.add_row("teacher", "97.1 %", "96.0 – 98.0 %", "61,706", "1.23 ms")
    table.add_row("student", "95.1 %", "94.0 – 96.0 %", "1,706", "0.23 ms")
    wide = [text.plain for text in table.laid_out(80)]
    assert len(wide) == 3 and wide[0].split()[0] == "accuracy"
    turned = [text.plain for text in table.laid_out(46)]
    assert turned[1] == "accuracy              97.1 %         95.1 %" and len(turned) == 5
    stacked = [text.plain for text in table.laid_out(24)]
    assert "accuracy       97.1 %" in stacked and max(map(len, stacked)) <= 24


class _Stream(io.StringIO):
    def __init__(self, encoding: str) -> None:
        super().__init__()
        self.named = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.named


@pytest.mark.parametrize(
    ("environ", "coerced", "expected"),
    [
        ({"LANG": "C"}, False, "ascii"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, "ascii"),  # Python's own doing
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False, "utf-8"),  # the user's
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, False, "ascii"),
        ({"LC_ALL": "POSIX"}, True, "ascii"),
        ({"LC_ALL": "", "LANG": "en_GB.UTF-8"}, False, "utf-8"),
        ({"LANG": "de_DE.ISO-8859-1@euro"}, False, "iso8859-1"),
        ({"LANG": "ja_JP.eucJP"}, False, "euc_jp"),
        ({"LANG": "xx.nonsense"}, False, "utf-8"),
        ({"LANG": "en_US.UTF-8", "LC_CTYPE": "C.UTF-8"}, True, "utf-8"),  # a locale that is not installed
        ({}, False, "utf-8"),
    ],
)
def test_the_locale_says_which_signs_there_are(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], coerced: bool, expected: str
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(signs, "sys", type("sys", (), {"flags": type("flags", (), {"utf8_mode": int(coerced)})}))
    monkeypatch.setattr(signs, "typed_ctype", lambda: "")
    assert charset(_Stream("utf-8")) == expected
    assert charset(_Stream("ascii")) == ("ascii" if expected == "utf-8" else expected)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LC_CTYPE": "C"}, "ascii"),
        ({"LC_CTYPE": "POSIX", "LANG": "en_US.UTF-8"}, "ascii"),
        ({"LC_CTYPE": "C", "LC_ALL": "C.UTF-8"}, "utf-8"),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, "utf-8"),
        ({"LC_CTYPE": "", "LANG": "C"}, "ascii"),
        ({"LC_ALL": "C", "LC_CTYPE": "C.UTF-8"}, "ascii"),
        ({}, "utf-8"),
    ],
)
def test_the_locale_of_a_process_is_the_one_it_was_given(environ: dict[str, str], expected: str) -> None:
    """Python writes its own LC_CTYPE over C, before anything of bmx is there to look."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("what a process was given is not known here")
    code = "import sys; from bmx.runs.report.signs import charset; print(charset(sys.stdout))"
    given = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=given | environ, capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == expected


@given(st.text(), st.sampled_from(["ascii", "iso8859-1", "euc_jp", "utf-8"]))
def test_whatever_is_spelled_can_be_written(text: str, encoding: str) -> None:
    assume(not any("\ud800" <= character <= "\udfff" for character in text))
    spelled(text, encoding).encode(encoding)
    assert spelled(text, "utf-8") == text


def test_signs_are_spelled_out_before_a_table_is_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    table = TextTable()
    table.add_column("mean ± half")
    table.add_column("next", right=True)
    table.add_row(Text.assemble(("97.1 ± 0.4", "bold"), " %"), "…")
    table.add_row("1", "2")
    file = io.StringIO()
    Paper(file=file, width=80).print(table)
    assert [text.split() for text in file.getvalue().splitlines()] == [
        ["mean", "+-", "half", "next"],
        ["97.1", "+-", "0.4", "%", "..."],
        ["1", "2"],
    ]
    assert {len(text) for text in file.getvalue().splitlines()} == {len("97.1 +- 0.4 %") + 2 + len("next")}


@pytest.mark.parametrize("room", [None, 200, 120, 80, 60, 40, 30, 20])
@pytest.mark.parametrize("epochs", [3, 20, 1000, 100_000])
def test_the_lines_of_the_epochs_fit(room: int | None, epochs: int) -> None:
    row = {"epoch": epochs, "train/loss": 2.86e26, "train/accuracy": 1.0, "val/loss": float("nan"), "val/accuracy": 0.9}
    table = EpochTable.fitting({**row, "lr": 1e-300}, epochs, room)
    said = table.line({**row, "lr": 1e-300}, 123456.0, True)
    assert len(table.heading.split("  ")) and "90.00 %" in said and said.endswith("best")
    if room is None:
        assert "2.86e+26" in said and "nan" in said
    elif room >= 40:
        assert len(said) <= room


@given(st.floats(0, 1), st.integers(1, 200), st.booleans())
def test_a_bar_fits_and_leaves_out_whole_parts(share: float, width: int, coloured: bool) -> None:
    said, speed = ["epoch 3/20", "step 12/113", "loss 0.1234"], ["0:31 left", "1.2 k steps/s"]
    text = bar(said, share, speed, width, coloured)
    assert width_of(text) <= max(width, len(said[0]))
    assert text.startswith(said[0])


class _Window:
    """Standard output as a terminal with a screen, whose size is told to the foot."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, columns: int, reflows: bool) -> None:
        self.screen = Screen(columns, 10, reflows)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(foot, "terminal_size", lambda stream: (self.screen.columns, 10))
        monkeypatch.setattr(foot, "is_terminal", lambda stream: True)
        monkeypatch.setattr(sys, "stdout", self)
        monkeypatch.setattr(sys, "stderr", self)
        self.encoding = "utf-8"

    def write(self, text: str) -> int:
        self.screen.feed(text.replace("\n", "\r\n"))  # as the terminal's driver does
        return len(text)

    def flush(self) -> None: ...


action = st.one_of(
    st.tuples(st.just("draw"), st.lists(st.integers(0, 70).map(lambda n: "▸ " + "lr=0.1 " * (n // 7)), max_size=5)),
    st.tuples(st.just("print"), st.integers(0, 200).map(lambda n: "kept " * (n // 5))),
    st.tuples(st.just("resize"), st.integers(12, 100)),
    st.tuples(st.just("partly"), st.just("part ")),
    st.tuples(st.just("say"), st.just("▸ loading")),
    st.tuples(st.just("clear"), st.just("")),
)


@pytest.mark.parametrize("reflows", [True, False])
@given(actions=st.lists(action, max_size=25))
def test_whatever_happens_the_foot_leaves_nothing_and_takes_nothing(reflows: bool, actions: list) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        window = _Window(monkeypatch, 60, reflows)
        drawn = foot.Foot()
        monkeypatch.setattr(foot, "FOOT", drawn)
        foot.listen()
        drawn.talks = True
        kept = 0
        for what, value in actions:
            if what == "draw":
                drawn.draw(value)
            elif what == "say":
                drawn.say(value)
            elif what == "print":
                print(value)
                kept += value.count("kept")
            elif what == "partly":
                print(value, end="", flush=True)
                kept += 0
            elif what == "resize":
                window.screen.resize(value)
            else:
                drawn.clear()
        drawn.clear()
        sys.stdout.end()
        text = window.screen.text
        assert "▸" not in text and "loading" not in text
        if not any(what == "resize" for what, _ in actions):
            assert text.count("kept") == kept and not broken_words(window.screen)
            assert text.count("part") == sum(what == "partly" for what, _ in actions)
        elif reflows:
            assert text.replace("\n", "").replace(" ", "").count("kept") == kept


def test_no_terminal_no_foot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = foot.Foot()
    drawn.talks = True
    drawn.draw(["a line"])
    drawn.say("loading")
    drawn.clear()
    assert capsys.readouterr() == ("", "")
    assert not drawn.shown


def test_a_console_of_another_keeps_its_width() -> None:
    from bmx.runs.report.terminal import wide

    given_one = Console(file=io.StringIO(), width=33, force_terminal=True)
    assert wide(given_one) is given_one
    assert wide(Console(file=io.StringIO(), width=33)).width == 160
