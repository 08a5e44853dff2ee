"""Words are looked at as Hydra's grammar reads them, never as raw text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmx.config import override_grammar
from bmx.config.quoting import quoted

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_a_quoted_value_is_read_back(text):
    assert override_grammar.value(f"outputs={quoted(text)}") == text
    assert override_grammar.last_value(["outputs=a", f"++outputs={quoted(text)}", "x=1"], "outputs") == text
    assert override_grammar.unquoted(quoted(text)) == text


@given(st.lists(TEXT, min_size=2, max_size=4))
def test_several_values_are_told_apart_however_they_are_written(texts):
    listed = ",".join(map(quoted, texts))
    for word in (f"run={listed}", f"run=[{listed}]", f"run=choice({listed})"):
        assert override_grammar.values(word) == texts and override_grammar.value(word) is None
    assert [override_grammar.unquoted(item) for item in override_grammar.items(f"[{listed}]")] == texts


@given(st.lists(TEXT, min_size=1, max_size=3), TEXT)
def test_a_value_is_changed_in_the_form_it_was_written_in(texts, new):
    listed = ",".join(map(quoted, ["latest", *texts]))
    for form in ("{}", "[{}]", "choice({})"):
        changed = override_grammar.with_values(
            f"run={form.format(listed)}", lambda one: new if one == "latest" else one
        )
        assert override_grammar.values(changed) == [new if one == "latest" else one for one in ["latest", *texts]]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("outputs='my runs'", "my runs"),
        ('outputs="a,b"', "a,b"),
        ("outputs='it\\'s'", "it's"),
        ("outputs=a\\,b", "a,b"),
        ("outputs=${oc.env:X}/runs", "${oc.env:X}/runs"),
        ("outputs=a,b", None),
        ("outputs=[a]", None),
        ("outputs=range(1,3)", None),
        ("outputs=it's", None),
    ],
)
def test_one_value(word, value):
    assert override_grammar.value(word) == value


def test_keys_and_signs():
    assert override_grammar.taken_apart("++a.b=c=d") == ("++", "a.b", "c=d")
    assert override_grammar.taken_apart("~a") == ("~", "a", None)
    assert override_grammar.taken_apart("a= null ").is_null and not override_grammar.taken_apart("~a").is_null
