"""Every awkward DICOM file gives the pixels or the reason that its case expects."""

import pytest
from corpus import dicom_cases
from corpus.dicom_films import PATIENT_ID, PATIENT_NAME

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom import inspect_dicom, read_dicom

CASES = dicom_cases.cases()
CANARIES = (PATIENT_NAME, PATIENT_ID, "CANARY")


def test_case_names_differ():
    assert len({case.filename for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case, tmp_path, capfd):
    path = tmp_path / case.filename
    case.write(path)
    if isinstance(case.expect, Reason):
        with pytest.raises(InputError) as refusal:
            read_dicom(path)
        assert (refusal.value.reason, str(refusal.value)) == (case.expect, str(refusal.value))
        told = str(refusal.value)
    else:
        radiograph = read_dicom(path)
        case.check(radiograph)
        assert inspect_dicom(path).sop_instance_uid == radiograph.identity.sop_instance_uid
        told = repr(radiograph) + repr(inspect_dicom(path))
    out, error = capfd.readouterr()
    assert (out, error) == ("", "")
    assert not any(canary in told for canary in CANARIES)
    assert str(tmp_path) not in told
