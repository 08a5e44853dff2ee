import pytest
import torch

from bmx.data.language_id import FOLDS, LANGUAGES, NAMED, fold_of, language_id, names
from bmx.errors import UsageError


@pytest.fixture(scope="module")
def source():
    return language_id(max_length=64)


@pytest.fixture(scope="module")
def known():
    return names()


def strings(source, arrays):
    return ["".join(source.spec.vocabulary[i] for i in row) for row in arrays.inputs.tolist()]


def test_there_are_sixteen_languages_and_about_12600_names(source):
    assert source.spec.num_classes == len(source.spec.labels) == len(LANGUAGES) == 16
    assert source.spec.kind == "tokens"
    total = len(source.train) + len(source.test)
    assert 12_000 < total < 13_200
    assert 0.17 < len(source.test) / total < 0.23
    for arrays in (source.train, source.test):
        counts = arrays.targets.bincount(minlength=16)
        assert counts.min() > 0.03 * len(arrays)
        assert counts.max() < 0.12 * len(arrays)


def test_each_name_is_of_one_language_only(source, known):
    from babel import Locale

    tables = {
        code: {str(name).strip().lower() for table in NAMED for name in getattr(Locale(code), table).values()}
        for code in LANGUAGES
    }
    codes = list(LANGUAGES)
    for arrays in (source.train, source.test):
        written = strings(source, arrays)
        assert len(set(written)) == len(written)
        for name, target in zip(written, arrays.targets.tolist(), strict=True):
            if "\ufffd" not in name:
                assert [code for code, table in tables.items() if name.lower() in table] == [codes[target]]
                assert known[name][0] == target


def test_no_concept_is_in_both_parts(source, known):
    train = {concept for name in strings(source, source.train) for concept in known[name][1]}
    test = {concept for name in strings(source, source.test) if "\ufffd" not in name for concept in known[name][1]}
    assert train
    assert test
    assert not train & test


def test_the_vocabulary_is_of_the_training_names(source):
    spec = source.spec
    assert spec.vocab_size == len(spec.vocabulary)
    assert spec.pad_id == 0
    assert spec.vocabulary[0] == ""
    used = set(source.train.inputs.unique().tolist())
    # Every symbol occurs, and no training name has an unknown one.
    assert used == set(range(spec.vocab_size)) - {1}
    assert source.test.inputs.max() < spec.vocab_size
    assert {"É", "é", "A", "z"} <= set(spec.vocabulary)


def test_names_are_padded_at_the_end_only(source):
    for arrays in (source.train, source.test):
        filled = arrays.inputs != source.spec.pad_id
        assert torch.equal(filled, filled.long().cummin(1).values.bool())
        assert filled[:, 0].all()


def test_names_are_cut_to_the_length_that_is_asked_for(source):
    longest = source.spec.input_shape[0]
    assert 40 < longest <= 64
    short = language_id(max_length=10)
    assert short.spec.input_shape == (10,)
    assert short.spec.model_arguments()["max_length"] == 10
    assert torch.equal(short.train.inputs, source.train.inputs[:, :10])
    assert short.train.inputs.is_contiguous()
    assert language_id(max_length=1000).spec.input_shape == (longest,)
    assert language_id().spec.input_shape == (40,)


def test_the_folds_share_no_test_name_and_have_all(known):
    tested = [set(strings(part, part.test)) for part in (language_id(64, fold) for fold in range(FOLDS))]
    assert sum(map(len, tested)) == len(set().union(*tested))
    whole = {name for name, (_, concepts) in known.items() if len({fold_of(c) for c in concepts}) == 1}
    assert abs(len(set().union(*tested)) - len(whole)) < 30  # names with symbols that a training part lacks


@pytest.mark.parametrize("fields", [{"fold": 5}, {"fold": -1}, {"max_length": 0}])
def test_impossible_fields_are_refused(fields):
    with pytest.raises(UsageError, match=r"fold|characters"):
        language_id(**fields)


@pytest.mark.slow
def test_logistic_regression_on_character_ngrams_reaches_what_a_model_must_beat(source):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, lowercase=False)
    train = grams.fit_transform(strings(source, source.train))
    model = LogisticRegression(C=3, max_iter=300).fit(train, source.train.targets.numpy())
    accuracy = model.score(grams.transform(strings(source, source.test)), source.test.targets.numpy())
    assert 0.82 < accuracy < 0.86
