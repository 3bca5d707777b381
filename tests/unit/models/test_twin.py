import pytest
import torch

from twinfolio.models.embedder import build_siamese
from twinfolio.models.twin import ConvTwin


@pytest.fixture
def twin():
    torch.manual_seed(0)
    options = {"depth": 1, "kernels": 4}
    head = {"head": "distance", "distance": "cosine", "embedding": 8}
    return ConvTwin(*build_siamese("lu_conv", weights="none", options=options, **head)).eval()


def test_its_similarity_is_the_sigmoid_of_the_heads_logit(twin):
    x, y = torch.rand(3, 3, 16, 16), torch.rand(3, 3, 16, 16)
    a, b = twin.embed(x), twin.embed(y)
    torch.testing.assert_close(twin.paired(a, b), torch.sigmoid(twin.head.paired(a, b)))
    torch.testing.assert_close(twin.pairwise(a, b).diagonal(), twin.paired(a, b))
    assert ((twin.pairwise(a, b) > 0) & (twin.pairwise(a, b) < 1)).all()


def test_it_is_as_pretrained_as_its_embedder_and_has_no_penalty(twin):
    assert twin.pretrained is False
    assert twin.trunk is twin.embedder.trunk
    assert twin.penalty() == 0
