import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import CenterSpatialCropd

from pipelines.transforms.middle import CropMiddled


@pytest.mark.parametrize("shape", [(8, 8), (9, 12), (13, 8), (5, 20), (8, 11)])
@pytest.mark.parametrize("size", [5, 8])
def test_it_is_monais_crop_of_the_middle(shape, size):
    values = torch.arange(2 * np.prod(shape), dtype=torch.float32).reshape(2, *shape)
    affine = torch.diag(torch.tensor([0.2, 0.5, 1.0, 1.0], dtype=torch.float64))
    affine[:, -1] = torch.tensor([3.0, 4.0, 0.0, 1.0])
    film = {"image": MetaTensor(values, affine=affine, meta={"spacing_mm": (0.2, 0.5)})}
    ours = CropMiddled(keys="image", size=size)(film)["image"]
    theirs = CenterSpatialCropd(keys="image", roi_size=(size, size))(film)["image"]
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours.as_tensor(), theirs.as_tensor())
    torch.testing.assert_close(ours.affine, theirs.affine)
    assert ours.meta["spacing_mm"] == (0.2, 0.5)
    assert film["image"].affine[0, -1] == 3, "the film itself stays as it was"


def test_a_plain_tensor_stays_plain():
    cropped = CropMiddled(keys="image", size=2)({"image": torch.zeros(1, 4, 6)})["image"]
    assert type(cropped) is torch.Tensor
    assert cropped.shape == (1, 2, 2)
