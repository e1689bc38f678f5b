#!/usr/bin/env python3
"""Writes tests/data/golden/volumes/: one small volume in many storages, by nibabel, pynrrd and SimpleITK, for tests/data/test_volume.c.

In canonical order (LPS) it is 5 x 4 x 3 voxels, voxel x,y,z holds x + 10 y + 100 z, and its affine is AFFINE (LPS mm). Every file
must come out of our reader as exactly that. Needs numpy, nibabel, pynrrd, SimpleITK.

    scripts/golden/volumes.py tests/data/golden/volumes"""
import pathlib
import sys

import nibabel
import nrrd
import numpy as np
import SimpleITK

VALUES = np.fromfunction(lambda x, y, z: x + 10 * y + 100 * z, (5, 4, 3))
AFFINE = np.array([[0.5, 0.0, 0.0, -20.0], [0.0, 0.59375, -0.125, 30.5], [0.0, 0.0625, 1.25, -7.25], [0, 0, 0, 1]])
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def stored(axes, flips, affine=AFFINE):
    """The volume with file axis a = canonical axis axes[a], reversed where flips[a]; and its affine, LPS."""
    values, turned = VALUES.transpose(axes), np.eye(4)
    turned[:3, :3] = affine[:3, :3][:, axes]
    turned[:3, 3] = affine[:3, 3]
    for a in range(3):
        if flips[a]:
            turned[:3, 3] += (values.shape[a] - 1) * turned[:3, a]
            turned[:3, a] *= -1
            values = np.flip(values, a)
    return np.ascontiguousarray(values), turned


def nifti(path, axes, flips, dtype, kind=nibabel.Nifti1Image, qform=None, big=False, slope=None, trailing=0):
    values, affine = stored(axes, flips)
    if qform == "only":  # an affine a quaternion can say
        values, affine = stored(axes, flips, np.diag([0.5, 0.5, 1.25, 1.0]) @ np.eye(4) + AFFINE * [0, 0, 0, 1] - np.diag([0, 0, 0, 1]))
    values = values.reshape(values.shape + (1,) * trailing).astype(dtype)
    header = kind.header_class(endianness=">" if big else "<")
    header.set_data_dtype(dtype)
    image = kind(values, RAS @ affine, header)
    image.set_sform(RAS @ affine, 0 if qform else 1)
    image.set_qform(RAS @ affine, 1 if qform else 0)
    if slope:
        image.header.set_slope_inter(*slope)
    nibabel.save(image, path)


def nrrd_file(path, axes, flips, dtype, space, **header):
    values, affine = stored(axes, flips)
    turn = {"left-posterior-superior": [1, 1, 1], "right-anterior-superior": [-1, -1, 1], "left-anterior-superior": [1, -1, 1]}[space]
    header = {"space": space, "space directions": affine[:3, :3].T * turn, "space origin": affine[:3, 3] * turn,
              "kinds": ["domain"] * 3, **header}
    nrrd.write(str(path), values.astype(dtype), header)


def metaimage(path, axes, flips, dtype, compressed):
    values, affine = stored(axes, flips)
    image = SimpleITK.GetImageFromArray(values.astype(dtype).transpose())
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(path), compressed)


def main(folder):
    nifti(folder / "ras_i16.nii.gz", (0, 1, 2), (1, 1, 0), np.int16)
    nifti(folder / "lps_u8.nii", (0, 1, 2), (0, 0, 0), np.uint8)
    nifti(folder / "permuted_f64.nii.gz", (2, 0, 1), (1, 0, 1), np.float64)
    nifti(folder / "version2_i32.nii", (1, 2, 0), (0, 1, 1), np.int32, kind=nibabel.Nifti2Image)
    nifti(folder / "big_endian_u16.nii", (0, 1, 2), (1, 1, 0), np.uint16, big=True)
    nifti(folder / "trailing_f32.nii", (0, 1, 2), (1, 1, 0), np.float32, trailing=2)
    nifti(folder / "qform_i8.nii", (0, 2, 1), (1, 0, 1), np.uint8, qform="only")
    lps, ras, las = "left-posterior-superior", "right-anterior-superior", "left-anterior-superior"
    nrrd_file(folder / "lps_i32.nrrd", (0, 1, 2), (0, 0, 0), np.int32, lps, encoding="gzip")
    nrrd_file(folder / "ras_u8.nrrd", (0, 1, 2), (1, 1, 0), np.uint8, ras, encoding="raw")
    nrrd_file(folder / "las_i64.nrrd", (1, 0, 2), (1, 0, 1), np.int64, las, encoding="gzip")
    nrrd_file(folder / "permuted_f64.nrrd", (2, 1, 0), (0, 1, 1), np.float64, lps, encoding="raw")
    nrrd_file(folder / "big_endian_u16.nrrd", (0, 1, 2), (0, 0, 0), ">u2", ras, encoding="raw", endian="big")
    nrrd_file(folder / "detached_f32.nhdr", (0, 1, 2), (0, 1, 0), np.float32, lps, encoding="gzip")
    nrrd_file(folder / "detached_raw_i16.nhdr", (2, 0, 1), (0, 1, 1), np.int16, las, encoding="raw")
    nrrd_file(folder / "bzip2_i16.nrrd", (0, 1, 2), (1, 0, 0), np.int16, lps, encoding="bzip2")
    nrrd_file(folder / "ascii_i32.nrrd", (1, 0, 2), (0, 0, 1), np.int32, ras, encoding="ascii")
    nrrd_file(folder / "ascii_f32.nhdr", (0, 1, 2), (0, 0, 0), np.float32, lps, encoding="ascii")
    nrrd_file(folder / "below_u8.nhdr", (0, 1, 2), (0, 0, 1), np.uint8, lps, encoding="bzip2")
    (folder / "below").mkdir(exist_ok=True)
    (folder / "below_u8.raw.bz2").replace(folder / "below" / "below_u8.raw.bz2")
    header = folder / "below_u8.nhdr"
    header.write_text(header.read_text().replace("below_u8.raw.bz2", "below/below_u8.raw.bz2"))
    metaimage(folder / "zlib_i16.mha", (0, 1, 2), (0, 0, 0), np.int16, True)
    metaimage(folder / "zlib_f32.mhd", (2, 0, 1), (1, 0, 0), np.float32, True)
    metaimage(folder / "plain_u16.mhd", (0, 1, 2), (0, 1, 0), np.uint16, False)
    nifti(folder / "pair_i16.hdr", (0, 1, 2), (1, 1, 0), np.int16, kind=nibabel.Nifti1Pair)
    nifti(folder / "pair_f32.hdr.gz", (2, 0, 1), (0, 1, 0), np.float32, kind=nibabel.Nifti1Pair)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
