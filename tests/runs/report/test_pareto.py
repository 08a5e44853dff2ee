"""The plot of accuracy against cost."""

from bmx.runs.report.pareto import draw


def point(name, accuracy, size, **timings):
    rows = [{"engine": engine, "batch_size": 1, "median": seconds} for engine, seconds in timings.items()]
    cost = {"bytes": size, "macs": 10 * size, "parameters": size, "nonzero_parameters": size}
    return {"name": name, "after": {"metrics": {"accuracy": accuracy}, "cost": cost, "timings": rows}}


def written(figure):
    return [text.get_text() for text in figure.texts]


def test_numbers_say_which_point_is_which(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, *_, **__: figures.append(self))
    good, small = point("good", 0.9, 1000, eager=1e-3), point("small", 0.8, 10, onnx=1e-4)
    beaten = point("beaten", 0.7, 2000, eager=2e-3)
    draw([small, beaten, good, {"name": "failed", "after": None}], tmp_path / "pareto.png")
    (figure,) = figures
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "size of the weights",
        "MACs",
        "eager, batch 1",
        "onnx, batch 1",
    ]
    assert written(figure)[2:] == ["1  good", "2  small"]
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["1", "2"]
    assert figure.axes[0].get_xscale() == "log"


def test_many_and_long_names_are_cut_short(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, *_, **__: figures.append(self))
    draw([point("x" * 100 + str(i), 0.5 + i / 100, 1000 + i) for i in range(20)], tmp_path / "pareto.png")
    lines = written(figures[0])[2:]  # title and subtitle come first
    assert len(lines) == 13 and lines[-1] == "and 8 more" and all(len(line) <= 46 for line in lines)


def test_it_is_an_image(tmp_path):
    draw([point("one", 0.9, 1000), point("two", 0.9, 1000)], tmp_path / "pareto.png")
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")
    draw([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
