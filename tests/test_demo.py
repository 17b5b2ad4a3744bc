from pipelines.demo import gather_films
from pipelines.errors import Reason
from pipelines.ingest.collect import collect
from pipelines.ingest.read import read_radiograph


def test_folder_holds_real_films_and_one_bad_file_of_each_kind(tmp_path):
    gather_films(tmp_path)
    found = collect(tmp_path)
    names = {item.filename for item in found.items}
    assert {"RG1_UNCR.dcm", "RG3_UNCR.dcm"} <= names
    assert read_radiograph(tmp_path / "RG3_UNCR.dcm").pixels.shape == (1, 1760, 1760)
    reasons = {refusal.filename: refusal.reason for refusal in found.refusals}
    assert reasons["letter.dcm"] is Reason.NOT_AN_IMAGE
    assert reasons["empty.dcm"] is Reason.EMPTY_FILE
    assert reasons["reportsi.dcm"] is Reason.NOT_A_RADIOGRAPH
    assert Reason.DUPLICATE in reasons.values()
