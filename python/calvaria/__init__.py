"""calvaria: from a defective skull to its implant. Research software, not for clinical use.

    import calvaria, nibabel
    image = nibabel.load("skull_defective.nii.gz")
    result = calvaria.restore(image.dataobj, image.affine)
    nibabel.save(nibabel.Nifti1Image(result.implant, image.affine), "implant.nii.gz")
    print(result.report["implant"]["volume_ml"])

The arrays hold the bits that the program `calvaria infer` writes for the same voxels and affine.
"""

from ._library import version as _version
from ._restore import Cancelled, Error, Mesh, Model, Result, UsageError, default_model, restore

__version__ = _version()
__all__ = ["Cancelled", "Error", "Mesh", "Model", "Result", "UsageError", "default_model", "restore"]
