"""Readers of image files: IDX, CIFAR's format, archives, folders of pictures."""

import gzip

import numpy as np
import pytest

from fastdrop import data

rng = np.random.default_rng(0)


def idx(array, code=8):
    """The bytes of an IDX file."""
    lengths = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, code, array.ndim]) + lengths + array.tobytes()


def mnist(folder, train=20, test=8, ending=""):
    """Write MNIST's four files; returns the arrays."""
    made = {}
    for part, count in (("train", train), ("t10k", test)):
        made[part] = (
            rng.integers(0, 256, (count, 28, 28), np.uint8),
            (np.arange(count) % 10).astype(np.uint8),
        )
        for kind, array in zip(("images-idx3", "labels-idx1"), made[part]):
            content = idx(array)
            content = gzip.compress(content) if ending else content
            (folder / f"{part}-{kind}-ubyte{ending}").write_bytes(content)
    return made


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist_files(tmp_path, ending):
    made = mnist(tmp_path, ending=ending)
    train, test = data.load_images(tmp_path)
    assert train.x.shape == (20, 1, 28, 28) and train.x.dtype == np.uint8
    assert (train.x[:, 0] == made["train"][0]).all() and (train.y == made["train"][1]).all()
    assert (test.x[:, 0] == made["t10k"][0]).all() and test.classes == list(range(10))


def test_mnist_as_torchvision_stores_it(tmp_path):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    mnist(tmp_path / "MNIST" / "raw")
    assert len(data.load_images(tmp_path)[0]) == 20


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_all_types_of_idx(tmp_path, code, dtype):
    array = np.arange(-6, 6).reshape(2, 3, 2).astype(dtype)
    (tmp_path / "a").write_bytes(idx(array, code))
    found = data.read_idx(tmp_path / "a")
    assert (
        (found == array).all() and found.dtype.isnative and found.dtype.itemsize == int(dtype[-1])
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX file"),
        (b"\0\0\x07\x01" + bytes(8), "no IDX file"),
        (b"\x89PNG" + bytes(8), "no IDX file"),
        (b"\0\0\x08\x03\0\0\0\1", "ends in its header"),
        (idx(np.zeros((4, 5), np.uint8))[:-1], "is truncated: its header says 20 bytes"),
        (idx(np.zeros((4, 5), np.uint8)) + b"\0", "is too long"),
        (b"\0\0\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff", "is truncated"),
        (gzip.compress(idx(np.zeros((4, 5), np.uint8)))[:-9], "cannot be decompressed"),
    ],
    ids=["empty", "type", "png", "header", "truncated", "long", "huge", "gzip"],  # gzip has a time
)
def test_damaged_idx_files(tmp_path, content, message):
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        data.read_idx(tmp_path / "broken")
    assert "broken" in str(error.value)


def test_labels_that_do_not_fit_the_images(tmp_path):
    mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(19, np.uint8)))
    with pytest.raises(ValueError, match=r"train-labels.*must hold 20 labels"):
        data.load_images(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="no file train-labels"):
        data.load_images(tmp_path)


def test_cifar10(tmp_path):
    x = rng.integers(0, 256, (5, 7, 3, 32, 32), np.uint8)
    y = rng.integers(0, 10, (5, 7)).astype(np.uint8)
    for i in range(5):
        rows = np.concatenate([y[i][:, None], x[i].reshape(7, -1)], axis=1)
        (tmp_path / f"data_batch_{i + 1}.bin").write_bytes(rows.tobytes())
    (tmp_path / "test_batch.bin").write_bytes(rows.tobytes())
    (tmp_path / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n")
    train, test = data.load_images(tmp_path)
    assert (train.x == x.reshape(35, 3, 32, 32)).all() and (train.y == y.reshape(-1)).all()
    assert (test.x == x[4]).all() and test.classes == list("abcdefghij")
    assert np.moveaxis(train.x, 1, 3).flags.c_contiguous
    (tmp_path / "data_batch_2.bin").write_bytes(rows.tobytes()[:-5])
    with pytest.raises(ValueError, match=r"data_batch_2.*records of 3073 bytes"):
        data.load_images(tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(ValueError, match=r"data_batch_2.*label must be below 10, got 10"):
        data.load_images(tmp_path)


def test_cifar100(tmp_path):
    rows = rng.integers(0, 256, (4, 3074), np.uint8)
    rows[:, 0], rows[:, 1] = 3, [0, 99, 5, 7]
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(rows.tobytes())
    train, test = data.load_images(tmp_path)
    assert train.y.tolist() == [0, 99, 5, 7] and len(train.classes) == 100 and len(test) == 4


def test_archives_in_either_order(tmp_path):
    x = rng.integers(0, 256, (6, 3, 8, 10), np.uint8)
    y = np.array(["a", "b", "a", "b", "c", "a"])
    np.savez(tmp_path / "first.npz", x=x, y=y)
    np.savez(tmp_path / "last.npz", x_train=np.moveaxis(x, 1, 3), y_train=y)
    for name in ("first.npz", "last.npz"):
        train, test = data.load_images(tmp_path / name)
        assert (train.x == x).all() and train.classes == ["a", "b", "c"] and test is None
    with pytest.raises(ValueError, match=r"one \.npz archive"):
        data.load_images(tmp_path)
    (tmp_path / "last.npz").unlink()
    assert len(data.load_images(tmp_path)[0]) == 6


def test_arrays_as_images():
    assert data.as_images(np.zeros((2, 3, 4), np.uint8)).shape == (2, 1, 3, 4)
    assert data.as_images(np.zeros((2, 3, 4, 3))).shape == (2, 3, 4, 3)
    assert data.as_images(np.zeros((2, 3, 4, 3)), layout="NHWC").shape == (2, 3, 3, 4)
    assert data.as_images(np.full((1, 2, 2), 255)).dtype == np.uint8  # of another integer type
    for wrong, message in (
        (np.zeros((2, 5, 6, 7)), "1 or 3 channels"),
        (np.full((2, 5, 6), 1.5), "pixels"),
        (np.full((2, 5, 6), 256), "pixels"),
        (np.zeros(4), "must be of shape"),
        (np.zeros((2, 0, 3)), "at least one pixel"),
    ):
        with pytest.raises(ValueError, match=message):
            data.as_images(wrong)


def test_an_archive_of_python_objects_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], object), y=np.zeros(1, int))
    with pytest.raises(ValueError, match=r"a\.npz"):
        data.load_images(tmp_path / "a.npz")


class TestPictures:
    """Folders of pictures, which need Pillow."""

    @pytest.fixture(autouse=True)
    def _pillow(self):
        self.library = pytest.importorskip("PIL.Image")

    def write(self, path, shape=(8, 10, 3)):
        """Write a random picture; returns its pixels."""
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, shape, np.uint8)
        self.library.fromarray(pixels).save(path)
        return pixels

    def folder(self, root, classes=("cat", "dog"), count=3, **options):
        return {
            (name, i): self.write(root / name / f"{i}.png", **options)
            for name in classes
            for i in range(count)
        }

    def test_a_subfolder_for_each_class(self, tmp_path):
        made = self.folder(tmp_path)
        (tmp_path / ".hidden").mkdir()
        (tmp_path / "cat" / "notes.txt").write_text("no picture")
        train, test = data.load_images(tmp_path)
        assert test is None and train.classes == ["cat", "dog"]
        assert train.y.tolist() == [0, 0, 0, 1, 1, 1] and train.x.shape == (6, 3, 8, 10)
        assert (train.x[4] == np.moveaxis(made["dog", 1], 2, 0)).all()
        lazy = data.ImageFolder(tmp_path)
        images, labels = lazy.gather([4, 0])
        assert (images == train.x[[4, 0]]).all() and labels.tolist() == [1, 0]
        assert (lazy[4][0] == images[0]).all() and lazy.class_to_idx == {"cat": 0, "dog": 1}

    @pytest.mark.parametrize("name", ["test", "val"])
    def test_train_and_test_folders(self, tmp_path, name):
        self.folder(tmp_path / "train", ("a", "b", "c"))
        self.folder(tmp_path / name, ("a", "c"), 2)
        train, test = data.load_images(tmp_path)
        assert len(train) == 9 and test.y.tolist() == [0, 0, 2, 2]
        assert test.classes == train.classes == ["a", "b", "c"]
        self.write(tmp_path / name / "d" / "1.png")
        with pytest.raises(ValueError, match="class without training pictures"):
            data.load_images(tmp_path)

    def test_gray_pictures_stay_gray_if_all_are(self, tmp_path):
        self.folder(tmp_path, shape=(8, 10))
        assert data.load_images(tmp_path)[0].x.shape == (6, 1, 8, 10)
        assert data.load_images(tmp_path, channels=3)[0].x.shape == (6, 3, 8, 10)
        self.write(tmp_path / "cat" / "colour.png")
        assert data.load_images(tmp_path)[0].x.shape == (7, 3, 8, 10)

    def test_mixed_sizes(self, tmp_path):
        self.folder(tmp_path)
        self.write(tmp_path / "dog" / "large.png", (30, 20, 3))
        with pytest.raises(ValueError, match=r"large\.png' is 20 x 30 pixels .*10 x 8"):
            data.load_images(tmp_path)
        with pytest.raises(ValueError, match=r"large\.png"):
            data.ImageFolder(tmp_path).gather([0, 6])
        assert data.load_images(tmp_path, 16)[0].x.shape == (7, 3, 16, 16)
        assert data.load_images(tmp_path, (6, 12))[0].x.shape == (7, 3, 6, 12)

    @pytest.mark.parametrize("content", [b"", b"no picture", None])
    def test_torn_files(self, tmp_path, content):
        self.folder(tmp_path, shape=(40, 40, 3))
        torn = tmp_path / "cat" / "2.png"
        torn.write_bytes(torn.read_bytes()[:-2000] if content is None else content)
        with pytest.raises(ValueError, match=r"2\.png' cannot be read as a picture"):
            data.load_images(tmp_path)

    def test_folders_without_pictures(self, tmp_path):
        with pytest.raises(ValueError, match="must hold a subfolder"):
            data.load_images(tmp_path)
        self.folder(tmp_path)
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match="empty' holds no picture"):
            data.load_images(tmp_path)
        with pytest.raises(FileNotFoundError):
            data.load_images(tmp_path / "missing")

    def test_kinds_of_pictures(self, tmp_path):
        pixels = rng.integers(0, 256, (5, 6, 4), np.uint8)
        pixels[0, 0] = [9, 9, 9, 0]
        self.library.fromarray(pixels).save(tmp_path / "a.png")
        found = data.read_image(tmp_path / "a.png")
        assert found.shape == (3, 5, 6) and (found[:, 0, 0] == 255).all()
        wide = rng.integers(0, 65536, (5, 6)).astype(np.uint16)
        self.library.fromarray(wide).save(tmp_path / "b.png")
        assert np.abs(data.read_image(tmp_path / "b.png")[0] - wide / 257.0).max() <= 1
        self.library.fromarray(pixels[..., :3]).convert("P").save(tmp_path / "c.gif")
        assert data.read_image(tmp_path / "c.gif", channels=1).shape == (1, 5, 6)
        self.library.fromarray(pixels[..., 0] > 128).save(tmp_path / "d.png")
        assert set(np.unique(data.read_image(tmp_path / "d.png"))) <= {0, 255}
