import numpy as np
import pytest

from twinfolio.descriptors.bow import BagOfWords
from twinfolio.descriptors.encoder import Encoder, EncoderSpec
from twinfolio.descriptors.hashing import HASHES, hash_bits
from twinfolio.descriptors.local import Extractor, extract
from twinfolio.descriptors.vlad import vlad
from twinfolio.descriptors.vocabulary import Vocabulary
from twinfolio.errors import DataError, ModelError

SMALL = {"words": 8, "most": 60}


@pytest.mark.parametrize("encoding", ["bow", "vlad"])
def test_words_come_from_the_images_it_is_fitted_on_alone(encoding, scenes):
    encoder = Encoder.fit(EncoderSpec("rootsift", encoding, **SMALL), scenes[:3])
    features = extract(scenes[:3], Extractor("rootsift", 60))
    words = Vocabulary.fit(features, 8)
    np.testing.assert_array_equal(encoder.bags.vocabulary.words, words.words)
    others = extract(scenes[3:], Extractor("rootsift", 60))
    bags = BagOfWords.fit(features, words)
    expected = bags.encode(others) if encoding == "bow" else vlad(others, words)
    np.testing.assert_array_equal(encoder(scenes[3:]), expected)
    assert not expected[-1].any()  # the blank image


@pytest.mark.parametrize("kind", HASHES)
def test_a_hash_needs_no_fitting(kind, scenes):
    encoder = Encoder.fit(EncoderSpec(kind), scenes[:1])
    np.testing.assert_array_equal(encoder(scenes), [hash_bits(image, kind) for image in scenes])
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
