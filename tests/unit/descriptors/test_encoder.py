import numpy as np
import pytest

from twinfolio.descriptors.bow import BagOfWords, scaled
from twinfolio.descriptors.encoder import Encoder, EncoderSpec, spec_named
from twinfolio.descriptors.hashing import HASHES, hash_bits
from twinfolio.descriptors.local import Extractor, extract
from twinfolio.descriptors.vlad import vlad
from twinfolio.descriptors.vocabulary import Vocabulary
from twinfolio.errors import DataError, ModelError, ParamsError

SMALL = {"words": 8, "most": 60}


@pytest.mark.parametrize("encoding", ["bow", "vlad"])
def test_words_come_from_the_images_it_is_fitted_on_alone(encoding, scenes):
    encoder = Encoder.fit(EncoderSpec("rootsift", encoding, **SMALL), scenes[:3])
    features = extract(scenes[:3], Extractor("rootsift", 60))
    words = Vocabulary.fit(features, 8)
    np.testing.assert_array_equal(encoder.bags.vocabulary.words, words.words)
    others = extract(scenes[3:], Extractor("rootsift", 60))
    bags = BagOfWords.fit(features, words)
    expected = scaled(bags.encode(others), "cosine") if encoding == "bow" else vlad(others, words)
    np.testing.assert_array_equal(encoder(scenes[3:]), expected)


@pytest.mark.parametrize("kind", HASHES)
def test_a_hash_needs_no_fitting(kind, scenes):
    encoder = Encoder.fit(EncoderSpec(kind), scenes[:1])
    bits = np.stack([hash_bits(image, kind) for image in scenes])
    expected = 1 - 2 * (bits[:, None] != bits).sum(2) / 64
    np.testing.assert_allclose(encoder(scenes) @ encoder(scenes).T, expected, atol=1e-6)
    assert encoder.spec.name == kind
    with pytest.raises(ValueError, match="has no key points"):
        encoder.features(scenes)


@pytest.mark.parametrize(
    "spec", [EncoderSpec("orb", "bow", **SMALL), EncoderSpec("surf", **SMALL), EncoderSpec("dhash")]
)
def test_a_saved_encoder_comes_back_whole(spec, scenes, tmp_path):
    encoder = Encoder.fit(spec, scenes, cache=tmp_path / "cache.sqlite")
    encoder.save(tmp_path / "encoder")
    again = Encoder.load(tmp_path / "encoder", cache=tmp_path / "cache.sqlite")
    assert again.spec == spec
    np.testing.assert_array_equal(again(scenes), encoder(scenes))


def test_rows_to_match_end_in_their_key_points(scenes):
    encoder = Encoder.fit(EncoderSpec("rootsift", words=4, most=60, matched=20), scenes)
    plain = Encoder.fit(EncoderSpec("rootsift", words=4, most=60), scenes)
    rows, vectors = encoder(scenes), plain(scenes)
    np.testing.assert_array_equal(rows[:, : vectors.shape[1]], vectors)
    points, descriptors = plain.features(scenes).image(0)
    kept = rows[0, vectors.shape[1] :].reshape(20, -1)
    np.testing.assert_array_equal(kept, np.hstack([points, descriptors])[:20])
    assert not rows[-1].any()  # the blank image


def test_names_say_what_a_system_is():
    names = ["bow_orb", "vlad_surf", "vlad_rootsift_matched", "phash"]
    assert [spec_named(name).name for name in names] == names
    with pytest.raises(ParamsError, match="no classical system is called 'vlad_phash'; choose among bow_orb"):
        spec_named("vlad_phash")


@pytest.mark.parametrize("wrong", [{"descriptor": "phash", "matched": 5}, {"descriptor": "orb", "distance": "l1"}])
def test_what_does_not_go_together_is_refused(wrong):
    with pytest.raises(ValueError, match="distance = "):
        EncoderSpec(**wrong)


def test_images_without_any_key_point_are_refused_in_a_line(scenes):
    with pytest.raises(DataError, match="orb: none of 2 images has a key point; enlarge"):
        Encoder.fit(EncoderSpec("orb"), scenes[[-1, -1]])


@pytest.mark.parametrize("text", ["", "{}", '{"descriptor": "orb"}', '{"descriptor": "orb", "colour": 1}'])
def test_a_folder_without_an_encoder_is_refused_in_a_line(text, tmp_path):
    (tmp_path / "encoder.json").write_text(text)
    with pytest.raises(ModelError, match="holds no encoder"):
        Encoder.load(tmp_path)
    with pytest.raises(ModelError, match="holds no encoder"):
        Encoder.load(tmp_path / "nowhere")
