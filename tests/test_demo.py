import pytest
from sample_fixture import write_small_samples

from pipelines.demo import gather_films
from pipelines.errors import InputError, Reason
from pipelines.ingest.collect import collect
from pipelines.ingest.read import read_radiograph


def test_folder_holds_real_films_and_one_bad_file_of_each_kind(tmp_path):
    sample = write_small_samples("chest", tmp_path / "samples", count=12)
    films = tmp_path / "films"
    gather_films(films, sample=next(path for path in sample if path.suffix == ".dcm"))
    found = collect(films)
    names = {item.filename for item in found.items}
    assert {"RG1_UNCR.dcm", "RG3_UNCR.dcm"} <= names
    assert read_radiograph(films / "RG3_UNCR.dcm").pixels.shape == (1, 1760, 1760)
    reasons = {refusal.filename: refusal.reason for refusal in found.refusals}
    assert reasons["letter.dcm"] is Reason.NOT_AN_IMAGE
    assert reasons["empty.dcm"] is Reason.EMPTY_FILE
    assert reasons["reportsi.dcm"] is Reason.NOT_A_RADIOGRAPH
    assert reasons["second_copy.dcm"] is Reason.DUPLICATE
    with pytest.raises(InputError) as cut:
        read_radiograph(films / "cut_off.dcm")
    assert cut.value.reason is Reason.TRUNCATED
