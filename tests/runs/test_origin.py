"""What of a run's origin is another now, in words."""

from bmx.runs.origin import changes

NOW = {
    "data": {"name": "digits", "marks": ["a", "b", "c", "d", "e"]},
    "code": {"net": {"text": "1", "code": "2"}},
    "versions": {"bmx": "1", "torch": "2"},
}


def other(**parts):
    return {**NOW, **parts}


def test_nothing_is_said_of_what_is_the_same_or_not_known():
    assert not changes(NOW, NOW) and not changes({}, NOW) and not changes(NOW, {})
    assert not changes(other(code={}), NOW) and not changes(other(versions={"numpy": "1"}), NOW)
    assert not changes(other(data={"name": "x", "marks": ["e"]}), NOW)  # older runs knew the fingerprint alone


def test_the_first_difference_of_the_data_is_named():
    parts = ("what the samples are", "the training inputs", "the training targets", "the test inputs")
    for number, part in enumerate((*parts, "the test targets")):
        marks = [*"abcde"[:number], *"vwxyz"[number:]]
        said = changes(other(data={"name": "digits", "marks": marks}), NOW).data
        assert said == (
            f"the data have changed: digits has the fingerprint e, it had z; the first difference is in {part}"
        )
    assert changes(other(data={"name": "digits", "marks": ["z"]}), NOW).data.endswith("it had z")


def test_code_layout_and_versions():
    assert changes(other(code={"net": {"text": "0", "code": "0"}}), NOW).lines() == ["the code of net has changed"]
    (line,) = changes(other(code={"net": {"text": "0", "code": "2"}}), NOW).lines()
    assert line == "comments or layout of net have changed, the code has not"
    (line,) = changes(other(versions={"bmx": "0", "torch": "1"}), NOW).lines()
    assert line == "made with bmx 0, now 1; torch 1, now 2: the last digits may differ"
