import socket
import threading
import time
import urllib.error

import pytest

from bmx.data.cifar import cifar10, cifar100
from bmx.data.mnist import fashion_mnist, kmnist, mnist
from bmx.data.pipeline.download import data_folder, fetch
from bmx.errors import UsageError
from tests.data.idx_files import write_set


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("Network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.mark.parametrize(
    ("read", "files"),
    [
        (mnist, "MNIST/raw"),
        (fashion_mnist, "FashionMNIST/raw"),
        (kmnist, "KMNIST/raw"),
        (cifar10, "cifar-10-batches-py"),
        (cifar100, "cifar-100-python"),
    ],
)
def test_without_files_and_network_both_ways_out_are_named(tmp_path, no_network, capsys, read, files):
    with pytest.raises(UsageError) as error:
        read(str(tmp_path))
    lines = error.value.lines()
    assert len(lines) == 3
    assert f"'{read.__name__}'" in lines[0]
    assert "the download failed" in lines[0]
    assert str(tmp_path / files) in lines[1]
    assert "data.dir" in lines[2]
    assert "data=mnist_5k" in lines[2]
    assert all("\n" not in line for line in lines)
    # Neither half a set nor the library's own chatter is left behind.
    assert [path.name for path in tmp_path.iterdir()] == [".bmx-download.lock"]
    assert capsys.readouterr() == ("", "")


def test_a_folder_that_cannot_be_written_names_both_ways_out():
    with pytest.raises(UsageError) as error:
        mnist("/dev/null/data")
    assert "cannot be written" in error.value.what
    assert "data=mnist_5k" in error.value.fix
    assert len(error.value.lines()) == 3


def test_the_folder_is_in_the_cache_where_none_is_given(monkeypatch, tmp_path):
    monkeypatch.setenv("BMX_CACHE", str(tmp_path))
    assert data_folder(None) == tmp_path / "data"
    write_set(tmp_path / "data" / "MNIST" / "raw")
    assert len(mnist().train) == 30


def test_what_is_downloaded_is_read_and_archives_are_dropped(tmp_path, monkeypatch):
    def publish(dataset):
        write_set(dataset.root / "MNIST" / "raw", zipped=False)
        write_set(dataset.root / "zipped", zipped=True)
        for path in (dataset.root / "zipped").iterdir():
            path.rename(dataset.root / "MNIST" / "raw" / path.name)
        (dataset.root / "zipped").rmdir()

    monkeypatch.setattr("torchvision.datasets.MNIST.download", lambda self: publish(self))
    assert len(mnist(str(tmp_path)).train) == 30
    raw = tmp_path / "MNIST" / "raw"
    assert sorted(path.suffix for path in raw.iterdir()) == ["", "", "", ""]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".bmx-download.lock", "MNIST"]


def test_a_download_that_breaks_off_leaves_nothing(tmp_path):
    def half(fresh):
        (fresh / "files").mkdir()
        (fresh / "files" / "first").write_text("half")
        raise ConnectionResetError("reset by peer\nsecond line")

    with pytest.raises(UsageError, match="reset by peer"):
        fetch("things", tmp_path, "files", lambda: False, half)
    assert not (tmp_path / "files").exists()


def test_two_at_once_download_once(tmp_path):
    downloads = []

    def download(fresh):
        downloads.append(fresh)
        time.sleep(0.2)
        (fresh / "files").mkdir()
        (fresh / "files" / "one").write_text("whole")

    def present():
        return (tmp_path / "files" / "one").exists()

    jobs = [threading.Thread(target=fetch, args=("things", tmp_path, "files", present, download)) for _ in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(downloads) == 1
    assert (tmp_path / "files" / "one").read_text() == "whole"


def test_a_connection_that_says_nothing_is_given_up(tmp_path):
    seen = []
    fetch("things", tmp_path, "files", lambda: False, lambda fresh: seen.append(socket.getdefaulttimeout()))
    assert seen == [30]
    assert socket.getdefaulttimeout() is None
