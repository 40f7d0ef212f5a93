import gc

import pytest

from nalu_export.cli.lean import lean_imports


def test_the_collector_is_off_inside_and_on_again() -> None:
    assert gc.isenabled()
    with lean_imports():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_on_again_after_an_error() -> None:
    with pytest.raises(ImportError), lean_imports():
        raise ImportError
    assert gc.isenabled()


def test_what_is_there_is_left_out_of_collections() -> None:
    gc.unfreeze()
    with lean_imports():
        pass
    assert gc.get_freeze_count() > 1000
    gc.unfreeze()
