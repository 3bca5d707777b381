import numpy as np
import pytest
import torch

from tests.unit.training.tiny_store import write_store
from twinfolio.data.datamodule import (
    Augmentation,
    StoreDataModule,
    StoreRows,
    balanced_subset,
    eval_batch_size,
    fits,
    loader,
    mix_seed,
)
from twinfolio.data.sampling import ShardBatches, ShuffledBatches
from twinfolio.data.store import Store


@pytest.fixture
def root(tmp_path):
    return write_store(tmp_path / "store", tiles=2)


def rows_of(root, *splits, rows=None):
    return StoreRows([Store.open(root / split) for split in splits], rows)


def test_a_batch_is_the_rows_asked_for_in_channels_last_memory(root):
    data = rows_of(root, "train")
    wanted = np.array([7, 0, 30])
    batch = data[wanted]
    store = Store.open(root / "train")
    assert batch["images"].dtype == torch.uint8
    assert batch["images"].is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(batch["images"].permute(0, 2, 3, 1).numpy(), store.images[wanted])
    assert batch["labels"].tolist() == store.labels[wanted].tolist()
    assert batch["rows"].tolist() == [7, 0, 30]


def test_rows_of_two_stores_are_counted_through(root):
    both, train, val = rows_of(root, "train", "val"), rows_of(root, "train"), rows_of(root, "val")
    assert len(both) == len(train) + len(val)
    mixed = both[np.array([len(train) + 2, 5])]
    assert torch.equal(mixed["images"][0], val[np.array([2])]["images"][0])
    assert torch.equal(mixed["images"][1], train[np.array([5])]["images"][0])
    assert mixed["labels"].tolist() == [int(val.labels[2]), int(train.labels[5])]


def test_a_choice_of_rows_is_numbered_anew(root):
    some = rows_of(root, "train", rows=np.array([40, 3, 9]))
    assert torch.equal(some[np.array([0])]["images"], rows_of(root, "train")[np.array([40])]["images"])
    assert len(some.index) == len(some.labels) == 3


@pytest.mark.parametrize("rows", [None, np.array([50, 3, 97, 0, 108])])
def test_rows_kept_on_a_device_give_the_same_batches_and_no_file_is_read_again(root, rows):
    data = rows_of(root, "train", "val", rows=rows)
    wanted = [np.array([4, 0, 2]), np.array([1]), np.arange(len(data))]
    before = [data[of] for of in wanted]
    data.keep_on(torch.device("cpu"))
    data.stores = []
    for of, batch in zip(wanted, before, strict=True):
        kept = data[of]
        assert kept.keys() == batch.keys()
        assert all(torch.equal(kept[name], batch[name]) for name in batch)
        assert kept["images"].dtype == torch.uint8
        assert kept["images"].is_contiguous(memory_format=torch.channels_last)


def test_rows_fit_where_they_take_a_quarter_of_what_is_free_and_no_byte_more(root):
    train, val = rows_of(root, "train"), rows_of(root, "val", rows=np.array([1, 2]))
    assert train.row_bytes == val.row_bytes == 32 * 32 * 3
    size = (len(train) + 2) * train.row_bytes
    assert fits([train, val], 4 * size)
    assert not fits([train, val], 4 * size - 1)


@pytest.mark.parametrize(
    ("device", "row_bytes", "size"),
    [
        ("cpu", 224 * 224 * 3, 16),
        ("cpu", 112 * 112 * 3, 64),
        ("cpu", 28 * 28, 1024),
        ("cpu", 448 * 448 * 3, 16),
        ("cuda", 224 * 224 * 3, 128),
        ("cuda", 448 * 448 * 3, 128),
        ("cuda", 28 * 28, 1024),
    ],
)
def test_a_batch_without_gradients_weighs_what_a_few_large_rows_do_and_is_never_smaller(device, row_bytes, size):
    assert eval_batch_size(torch.device(device), row_bytes) == size


def test_copies_and_tiles_of_one_image_share_a_source(root):
    data = rows_of(root, "train")
    ids = data.index["image_id"].to_numpy()
    assert ((data.sources[:, None] == data.sources) == (ids[:, None] == ids)).all()
    assert len(data.image_keys.labels) == len(set(ids)) == data.sources.max() + 1


def test_own_group_and_own_cluster_are_excluded(root):
    val = rows_of(root, "val").image_keys
    assert np.array_equal(val.excluded_from(val), np.eye(len(val.labels), dtype=bool))
    twins = type(val)(val.labels, np.array([f"other{i}" for i in range(len(val.labels))]), val.clusters)
    assert np.array_equal(val.excluded_from(twins), np.eye(len(val.labels), dtype=bool))


def test_a_balanced_subset_takes_as_many_of_each_class_as_there_are():
    labels = np.repeat([0, 1, 2], [50, 3, 20])
    chosen = balanced_subset(labels, 23, np.random.default_rng(0))
    assert np.bincount(labels[chosen]).tolist() == [10, 3, 10]
    assert len(balanced_subset(labels, 500, np.random.default_rng(0))) == 73
    assert not np.array_equal(chosen, balanced_subset(labels, 23, np.random.default_rng(1)))


def test_the_loader_hands_over_whole_batches(root):
    data = rows_of(root, "val")
    batches = list(loader(data, ShardBatches(len(data), 5)))
    assert [len(batch["rows"]) for batch in batches] == [5, 5, 5, 3]
    assert torch.cat([batch["rows"] for batch in batches]).tolist() == list(range(18))


class StubTrainer:
    def __init__(self, *, training, rank=0, step=0):
        self.training, self.global_rank, self.global_step, self.world_size = training, rank, step, 2


def module_of(root, **trainer):
    module = StoreDataModule(
        rows_of(root, "train"),
        rows_of(root, "val"),
        train_batches=lambda labels, _, rank, world: ShuffledBatches(len(labels), 8, seed=0, rank=rank, world=world),
        augmentation=Augmentation(crop=16, colour_jitter=0.4, grey=0.3),
        seed=3,
    )
    module.trainer = StubTrainer(**trainer)
    return module


def test_train_batches_are_augmented_from_seed_rank_and_step(root):
    batch = rows_of(root, "train")[np.arange(6)]

    def augmented(**trainer):
        return module_of(root, training=True, **trainer).on_after_batch_transfer(batch, 0)["images"]

    first = augmented(step=5)
    assert first.shape == (6, 3, 16, 16)
    assert first.dtype == torch.float32
    assert torch.equal(first, augmented(step=5))
    assert not torch.equal(first, augmented(step=6))
    assert not torch.equal(first, augmented(step=5, rank=1))


def test_validation_batches_are_the_rows_as_they_are(root):
    batch = rows_of(root, "val")[np.arange(4)]
    images = module_of(root, training=False).on_after_batch_transfer(batch, 0)["images"]
    assert torch.equal((images * 255).round().to(torch.uint8), batch["images"])


def test_ranks_get_their_own_rows(root):
    seen = [
        torch.cat([batch["rows"] for batch in module_of(root, training=True, rank=rank).train_dataloader()]).tolist()
        for rank in range(2)
    ]
    assert set(seen[0]).isdisjoint(seen[1])


def test_mixed_seeds_differ_where_their_numbers_do():
    numbers = [(a, b) for a in range(20) for b in range(20)]
    assert len({mix_seed(*pair) for pair in numbers}) == len(numbers)
