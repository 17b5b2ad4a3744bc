"""Each input belongs to one shard, whatever else there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.ingest.shard import Shard, shard_of


@given(st.text(), st.integers(1, 300))
def test_a_name_is_in_exactly_one_shard(name, count):
    assert sum(Shard(count, index).holds(name) for index in range(count)) == 1


def test_the_rule_stays_as_it_is():
    names = [f"patient {n}/film.dcm" for n in range(1000)]
    sizes = [sum(Shard(4, index).holds(name) for name in names) for index in range(4)]
    assert sizes == [261, 259, 238, 242]


@pytest.mark.parametrize("spelled", ["4/4", "-1/4", "1", "a/b", "1/0", "0/0", "1/2/3", "", "1.0/2"])
def test_nonsense_is_refused(spelled):
    with pytest.raises(ConfigurationError, match="first is 0/4 and the last 3/4"):
        Shard.parse(spelled)


def test_a_folder_tells_its_shard(tmp_path):
    shard = Shard.parse("7/123456")
    assert shard.folder == "shard-00007-of-123456"
    assert shard_of(tmp_path / shard.folder) == shard
    assert shard_of(tmp_path / "shard-of-films") is None
    assert str(shard) == "7/123456"
