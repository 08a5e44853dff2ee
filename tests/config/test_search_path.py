"""Where configuration and the user's own classes are found."""

import os
import sys

import pytest

from bmx.config import folders, search_path
from bmx.errors import UsageError
from tests.toy_house import REPOSITORY, write

MINE = {"model/mine.yaml": "# Mine.\n_target_: my_net.Net\n# Units.\nwidth: 42\n"}


@pytest.mark.parametrize("how", ["bmx_conf", "BMX_CONF", "--config-dir", "hydra.searchpath"])
def test_a_users_folder_adds_words(house, tmp_path, monkeypatch, how):
    folder = house.work / "bmx_conf" if how == "bmx_conf" else tmp_path / "mine" / "conf"
    write(folder, MINE)
    if how == "BMX_CONF":
        monkeypatch.setenv("BMX_CONF", os.pathsep.join(["", str(folder)]))
    flags = ["--config-dir", str(folder)] if how == "--config-dir" else []
    words = [f"hydra.searchpath=[file://{folder}]"] if how == "hydra.searchpath" else []
    assert house("train", "model=mine", *flags, *words).code == 0
    assert house.ran[0][0].model.width == 42


def test_the_users_word_stands_before_bmxs_own_and_the_first_folder_wins(house, tmp_path, monkeypatch):
    for place, width in (("a", 1), ("b", 2)):
        write(tmp_path / place, {"model/net.yaml": f"# Mine.\nwidth: {width}\n"})
    write(house.work / "bmx_conf", {"model/net.yaml": "# Mine.\nwidth: 3\n"})
    house("train")
    monkeypatch.setenv("BMX_CONF", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    house("train")
    house("train", "--config-dir", str(tmp_path / "b"))
    assert [cfg.model.width for cfg, _ in house.ran] == [3, 1, 1]


def test_config_dir_comes_after_bmxs_own(house, tmp_path):
    write(tmp_path / "c", {"model/net.yaml": "# Mine.\nwidth: 9\n"})
    house("train", "--config-dir", str(tmp_path / "c"))
    assert house.ran[0][0].model.width == 3


def test_a_folder_named_like_a_key_is_no_group(house):
    """As with ``--config-dir=.`` where runs have been made."""
    write(house.work, {"model/mine.yaml": "# Mine.\nwidth: 7\n", "outputs/train/x/1/config.yaml": "a: 1\n"})
    (house.work / "epochs").mkdir()
    assert house("train", "--config-dir=.", "model=mine", "outputs=there", "epochs=3").code == 0
    cfg = house.ran[0][0]
    assert (cfg.model.width, cfg.outputs, cfg.epochs) == (7, "there", 3)


def test_classes_beside_the_user_and_beside_the_folders_resolve(house, tmp_path, monkeypatch):
    write(tmp_path / "pack", {"near_conf.py": "Net = 1\n", **{f"conf/{k}": v for k, v in MINE.items()}})
    write(house.work, {"near_user.py": "Net = 2\n", "string.py": "raise RuntimeError('shadowed')\n"})
    seen = []

    def run(cfg, run_dir):
        import near_conf
        import near_user

        seen.append((near_conf.Net, near_user.Net))
        sys.modules.pop("string", None)
        __import__("string")  # the standard library's, not the user's

    house.behave["run"] = run
    assert house("train", "model=mine", "--config-dir", str(tmp_path / "pack" / "conf")).code == 0
    assert seen == [(1, 2)]
    assert str(house.work) not in sys.path


def test_installed_packs_are_found_by_their_entry_point(house, tmp_path, monkeypatch):
    write(tmp_path / "site", {"a_pack/__init__.py": "", "a_pack/conf/__init__.py": ""})
    write(tmp_path / "site" / "a_pack" / "conf", {"model/packed.yaml": "# Packed.\nwidth: 77\n"})
    write(
        tmp_path / "site" / "a_pack-1.0.dist-info",
        {
            "METADATA": "Metadata-Version: 2.1\nName: a-pack\nVersion: 1.0\n",
            "entry_points.txt": "[bmx.conf]\np = a_pack.conf\n",
        },
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    called = house("train", "model=packed")
    assert called.code == 0, called.err
    assert house.ran[0][0].model.width == 77


def test_bmxs_own_folder_is_found_in_the_checkout_and_in_a_wheel(tmp_path, monkeypatch):
    assert search_path.conf_dir() == REPOSITORY / "conf"
    write(tmp_path / "bmx", {"config/folders.py": "", "conf/train.yaml": "# x\n"})
    monkeypatch.setattr(folders, "__file__", str(tmp_path / "bmx" / "config" / "folders.py"))
    assert search_path.conf_dir() == tmp_path / "bmx" / "conf"
    (tmp_path / "bmx" / "conf" / "train.yaml").unlink()
    with pytest.raises(UsageError, match="configuration is missing"):
        search_path.conf_dir()
