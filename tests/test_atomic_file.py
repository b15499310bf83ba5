import os
import stat
from pathlib import Path

import pytest

from hybrid_cvar.atomic_file import remove_leftovers, write_atomically
from hybrid_cvar.errors import OutputError


def test_writes_utf_8_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_atomically(path, "old")
    write_atomically(path, "new µ")
    assert path.read_bytes() == "new µ".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_keeps_the_permissions_of_the_file_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    path.chmod(0o640)
    write_atomically(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to("real.json")
    write_atomically(link, "new")
    assert link.is_symlink() and (tmp_path / "real.json").read_text() == "new"


def test_a_relative_name_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_atomically(Path("out.json"), "x")
    assert (tmp_path / "out.json").read_text() == "x"


def test_the_longest_name_a_file_may_have(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".json")
    write_atomically(path, "x")
    assert path.read_text() == "x"


@pytest.mark.parametrize("name", ["missing/out.json", "folder", "file/out.json", "x" * 300])
def test_refused_paths_name_the_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("a file")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError) as caught:
        write_atomically(tmp_path / name, "text")
    assert caught.value.found and caught.value.rule and caught.value.remedy
    assert sorted(tmp_path.rglob("*")) == before


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="not a plain file"):
        write_atomically(pipe, "text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_that_refuses_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests may run as root, whom no permission stops.
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hybrid_cvar.atomic_file.os.open", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        write_atomically(tmp_path / "out.json", "text")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("hybrid_cvar.atomic_file.os.replace", fail)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_once_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        patched.setattr(Path, "unlink", killed)
        for _ in range(2):
            with pytest.raises(SystemExit):
                write_atomically(tmp_path / "out.json", "x")
    young, old = tmp_path.iterdir()
    others = [tmp_path / "other.tmp", tmp_path / ".hybrid-cvar-x"]
    for path in others:
        path.write_text("")
    for path in (old, *others):
        os.utime(path, (0, 0))
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([young, *others])
    remove_leftovers(tmp_path / "none")
