import pytest

from strep.cli.folder import fresh_folder, no_empty_folder


def test_folders_that_stayed_empty_are_taken_back(tmp_path):
    with no_empty_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b").mkdir(parents=True)
    assert list(tmp_path.iterdir()) == []


def test_an_error_takes_them_back_too(tmp_path):
    with pytest.raises(ValueError, match="no"), no_empty_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b").mkdir(parents=True)
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_what_was_put_into_them_stays(tmp_path):
    with no_empty_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b").mkdir(parents=True)
        (tmp_path / "a" / "mine").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine"]


def test_a_folder_that_was_there_stays_even_if_empty(tmp_path):
    (tmp_path / "a").mkdir()
    with no_empty_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b").mkdir()
    assert (tmp_path / "a").is_dir()
    assert not (tmp_path / "a" / "b").exists()


def test_a_folder_that_was_never_made_is_no_error(tmp_path):
    with no_empty_folder(tmp_path / "a"):
        pass


def test_a_fresh_folder_is_nobody_s(tmp_path):
    name = str(tmp_path / "demo")
    assert fresh_folder(name) == tmp_path / "demo"
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo-2").touch()
    assert fresh_folder(name) == tmp_path / "demo-3"
