#!/usr/bin/env python3
"""Writes tests/data/corpus/nifti, .../nrrd: files with hostile or broken headers, each a few hundred bytes, and .../expected.txt: a line
per file with what the error must say. tests/data/test_volume_hostile.c replays them.

    scripts/golden/hostile_volumes.py tests/data/corpus"""
import gzip
import pathlib
import struct
import sys

NAN, INF = float("nan"), float("inf")


def nifti1(order="<", dim=(3, 4, 4, 4, 1, 1, 1, 1), datatype=2, pixdim=(1, 1, 1, 1, 1, 1, 1, 1), offset=352.0, slope=0.0, inter=0.0,
           units=2, codes=(0, 1), quatern=(0, 0, 0, 0, 0, 0), srow=(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0), magic=b"n+1\0", data=64):
    header = bytearray(352)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, *dim)
    struct.pack_into(order + "2h", header, 70, datatype, 8)
    struct.pack_into(order + "8f", header, 76, *pixdim)
    struct.pack_into(order + "3f", header, 108, offset, slope, inter)
    header[123] = units
    struct.pack_into(order + "2h", header, 252, *codes)
    struct.pack_into(order + "6f", header, 256, *quatern)
    struct.pack_into(order + "12f", header, 280, *srow)
    header[344:348] = magic
    return bytes(header) + bytes(i % 2 for i in range(data))


def nifti2(dim=(3, 4, 4, 4, 1, 1, 1, 1), pixdim=(1, 1, 1, 1, 1, 1, 1, 1), offset=544, data=64, magic=b"n+2\0\r\n\x1a\n"):
    header = bytearray(544)
    struct.pack_into("<i8s2h", header, 0, 540, magic, 2, 8)
    struct.pack_into("<8q", header, 16, *dim)
    struct.pack_into("<8d", header, 104, *pixdim)
    struct.pack_into("<q", header, 168, offset)
    struct.pack_into("<2i", header, 344, 0, 1)
    struct.pack_into("<12d", header, 400, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    return bytes(header) + bytes(data)


def squeeze(data):
    return gzip.compress(data, mtime=0)


NIFTI = {
    "dims_zero.nii": (nifti1(dim=(3, 0, 4, 4, 1, 1, 1, 1)), "axis 0 has 0 voxels"),
    "dims_negative.nii": (nifti1(dim=(3, 4, -4, 4, 1, 1, 1, 1)), "axis 1 has -4 voxels"),
    "dims_none.nii": (nifti1(dim=(0, 4, 4, 4, 1, 1, 1, 1)), "0 dimensions"),
    "dims_nine.nii": (nifti1(dim=(9, 4, 4, 4, 1, 1, 1, 1)), "9 dimensions"),
    "dims_two.nii": (nifti1(dim=(2, 8, 8, 1, 1, 1, 1, 1)), "2 dimensions, expected 3"),
    "dims_four.nii": (nifti1(dim=(4, 4, 4, 2, 2, 1, 1, 1)), "dimension 4 has 2 entries"),
    "dims_large.nii": (nifti1(dim=(3, 32767, 32767, 32767, 1, 1, 1, 1)), "more than 2^40 voxels"),
    "dims_claim.nii": (nifti1(dim=(3, 512, 512, 512, 1, 1, 1, 1)), "the header claims 512 x 512 x 512"),
    "dims_claim.nii.gz": (squeeze(nifti1(dim=(3, 512, 512, 512, 1, 1, 1, 1))), "the header claims 512 x 512 x 512"),
    "dims_overflow.nii": (nifti2(dim=(3, 1 << 62, 1 << 62, 1 << 62, 1, 1, 1, 1)), "more than 2^40 voxels"),
    "dims_wrap.nii": (nifti2(dim=(3, 1 << 32, 1 << 32, 1, 1, 1, 1, 1)), "more than 2^40 voxels"),
    "dims_2_40.nii": (nifti2(dim=(3, 1 << 20, 1 << 20, 1, 1, 1, 1, 1)), "hold less"),
    "dims_negative_64.nii": (nifti2(dim=(3, -(1 << 63), 4, 4, 1, 1, 1, 1)), "axis 0 has -9223372036854775808 voxels"),
    "spacing_zero.nii": (nifti1(pixdim=(1, 0, 1, 1, 1, 1, 1, 1)), "spacing of axis 0: 0 mm"),
    "spacing_negative.nii": (nifti1(pixdim=(1, 1, -1, 1, 1, 1, 1, 1)), "spacing of axis 1: -1 mm"),
    "spacing_nan.nii": (nifti1(pixdim=(1, 1, 1, NAN, 1, 1, 1, 1)), "spacing of axis 2: nan mm"),
    "spacing_infinite.nii": (nifti2(pixdim=(1, INF, 1, 1, 1, 1, 1, 1)), "spacing of axis 0: inf mm"),
    "affine_nan.nii": (nifti1(srow=(1, 0, 0, 0, 0, NAN, 0, 0, 0, 0, 1, 0)), "spacing of axis 1: nan mm"),
    "affine_origin_infinite.nii": (nifti1(srow=(1, 0, 0, INF, 0, 1, 0, 0, 0, 0, 1, 0)), "origin: component 0 is not finite"),
    "affine_zero.nii": (nifti1(srow=(0,) * 12), "spacing of axis 0: 0 mm"),
    "affine_flat.nii": (nifti1(srow=(1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0)), "affine is singular"),
    "affine_huge.nii": (nifti1(srow=(3e38, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)), "spacing of axis 0"),
    "qform_nan.nii": (nifti1(codes=(1, 0), quatern=(NAN, 0, 0, 0, 0, 0)), "spacing of axis 0: nan mm"),
    "qform_offset_nan.nii": (nifti1(codes=(1, 0), quatern=(0, 0, 0, NAN, 0, 0)), "origin: component 0 is not finite"),
    "offset_beyond.nii": (nifti1(offset=1e9), "hold less"),
    "offset_beyond.nii.gz": (squeeze(nifti1(offset=1e9)), "hold less"),
    "offset_inside_gzip.nii.gz": (squeeze(nifti1(offset=2000.0)), "the file ends early"),
    "offset_nan.nii": (nifti1(offset=NAN), "lies inside the header"),
    "offset_infinite.nii": (nifti1(offset=INF), "lies inside the header"),
    "offset_negative.nii": (nifti1(offset=-352.0), "lies inside the header"),
    "offset_header.nii": (nifti1(offset=8.0), "lies inside the header"),
    "offset_63.nii": (nifti2(offset=(1 << 63) - 1), "hold less"),
    "type_unknown.nii": (nifti1(datatype=1234), "data type 1234"),
    "type_rgb.nii": (nifti1(datatype=128), "data type 128 (NIFTI_TYPE_RGB24)"),
    "type_complex.nii": (nifti1(datatype=32), "data type 32"),
    "units_metre.nii": (nifti1(units=1), "spatial unit is"),
    "magic_none.nii": (nifti1(magic=b"\0\0\0\0"), "Analyze 7.5"),
    "magic_pair.nii": (nifti1(magic=b"ni1\0"), "header/image pair"),
    "magic_other_version.nii": (nifti2(magic=b"n+1\0\r\n\x1a\n"), 'magic is not "n+2"'),
    "truncated.nii": (nifti1()[:400], "hold less"),
    "truncated_header.nii": (nifti1()[:200], "ends early"),
    "truncated.nii.gz": (squeeze(nifti1(data=4096, dim=(3, 16, 16, 16, 1, 1, 1, 1)))[:60], "ends early"),
    "truncated_tail.nii.gz": (squeeze(nifti1())[:-9], "ends early"),
    "checksum.nii.gz": (squeeze(nifti1())[:-8] + b"\1\2\3\4" + squeeze(nifti1())[-4:], "incorrect data check"),
    "damaged.nii.gz": (squeeze(nifti1())[:10] + b"\x07" + squeeze(nifti1())[11:], "data: invalid block type"),
    "swapped_claim.nii": (nifti1(order=">", dim=(3, 32767, 32767, 32767, 1, 1, 1, 1)), "more than 2^40 voxels"),
    "empty.nii": (b"", "the file is empty"),
    "text.nii": (b"not an image at all\n" * 40, "neither NIfTI nor NRRD"),
    "short.nii": (b"\1\2", "ends early"),
    "dicom.dcm": (bytes(128) + b"DICM" + bytes(300), "dcm2niix"),
}


def nrrd(*lines, data=bytes(64), drop=(), version=b"NRRD0004"):
    """A valid header with `lines` in place of its lines of the same field; fields named in drop are left out."""
    fields = {"type": "uint8", "dimension": "3", "space": "left-posterior-superior", "sizes": "4 4 4",
              "space directions": "(1,0,0) (0,1,0) (0,0,1)", "endian": "little", "encoding": "raw", "space origin": "(0,0,0)"}
    fields.update(line.split(": ", 1) for line in lines)
    text = "".join(f"{key}: {value}\n" for key, value in fields.items() if key not in drop)
    return version + b"\n" + text.encode("latin-1") + b"\n" + data


NRRD = {
    "dims_zero.nrrd": (nrrd("sizes: 0 4 4"), "sizes"),
    "dims_negative.nrrd": (nrrd("sizes: -4 4 4"), "sizes"),
    "dims_overflow.nrrd": (nrrd("sizes: 4294967296 4294967296 4294967296"), "too large"),
    "dims_2_40.nrrd": (nrrd("sizes: 1048576 1048576 1"), "hold less"),
    "dims_64_bits.nrrd": (nrrd("sizes: 18446744073709551615 1 1"), "voxels"),
    "dims_claim.nrrd": (nrrd("sizes: 512 512 512"), "the header claims 512 x 512 x 512"),
    "dims_claim_gzip.nrrd": (nrrd("sizes: 512 512 512", "encoding: gzip", data=squeeze(bytes(64))), "the header claims 512 x 512 x 512"),
    "dims_short_gzip.nrrd": (nrrd("sizes: 16 16 16", "encoding: gzip", data=squeeze(bytes(64))), "ends early"),
    "dims_two.nrrd": (nrrd("dimension: 2", "sizes: 8 8", "space directions: (1,0,0) (0,1,0)"), "2, expected 3"),
    "dims_two_bare.nrrd": (nrrd("dimension: 2", "sizes: 8 8", drop=("space", "space directions", "space origin")), "2, expected 3"),
    "dims_four.nrrd": (nrrd("dimension: 4", "sizes: 2 4 4 2", "space directions: none (1,0,0) (0,1,0) (0,0,1)"), "axis 0 has 2 entries"),
    "dims_seventeen.nrrd": (nrrd("dimension: 17", "sizes: " + "1 " * 17), "dimension"),
    "dims_billion.nrrd": (nrrd("dimension: 1000000000"), "dimension"),
    "sizes_missing.nrrd": (nrrd(drop=("sizes",)), "no field 'sizes'"),
    "sizes_few.nrrd": (nrrd("sizes: 4 4"), "sizes"),
    "sizes_text.nrrd": (nrrd("sizes: four four four"), "sizes"),
    "spacing_none.nrrd": (nrrd(drop=("space", "space directions", "space origin")), "its size in mm is unknown"),
    "spacing_zero.nrrd": (nrrd("spacings: 1 0 1", drop=("space", "space directions", "space origin")), "spacing"),
    "spacing_negative.nrrd": (nrrd("spacings: 1 -1 1", drop=("space", "space directions", "space origin")), "spacing of axis 1: -1 mm"),
    "spacing_infinite.nrrd": (nrrd("spacings: 1 inf 1", drop=("space", "space directions", "space origin")), "spacing"),
    "directions_nan.nrrd": (nrrd("space directions: (1,0,0) (0,nan,0) (0,0,1)"), "space vector"),
    "directions_all_nan.nrrd": (nrrd("space directions: (1,0,0) (nan,nan,nan) (0,0,1)"), "no place in space"),
    "directions_infinite.nrrd": (nrrd("space directions: (1,0,0) (0,inf,0) (0,0,1)"), "space"),
    "directions_zero.nrrd": (nrrd("space directions: (1,0,0) (0,0,0) (0,0,1)"), "spacing of axis 1: 0 mm"),
    "directions_flat.nrrd": (nrrd("space directions: (1,0,0) (1,0,0) (0,0,1)"), "affine is singular"),
    "directions_two.nrrd": (nrrd("space directions: (1,0,0) (0,1,0)"), "space directions"),
    "directions_none.nrrd": (nrrd("space directions: (1,0,0) none (0,0,1)"), "no place in space"),
    "directions_open.nrrd": (nrrd("space directions: (1,0,0 (0,1,0) (0,0,1)"), "space"),
    "origin_nan.nrrd": (nrrd("space origin: (0,nan,0)"), "space"),
    "origin_infinite.nrrd": (nrrd("space origin: (0,inf,0)"), "space"),
    "space_unknown.nrrd": (nrrd("space: left-up-down"), "space"),
    "space_3d.nrrd": (nrrd("space: 3D-right-handed"), "not an anatomical one"),
    "space_unnamed.nrrd": (nrrd().replace(b"space: left-posterior-superior", b"space dimension: 3"), "space 'unnamed': not an anatomical one"),
    "space_units.nrrd": (nrrd('space units: "um" "um" "um"'), "space units 'um'"),
    "type_unknown.nrrd": (nrrd("type: quaternion"), "type"),
    "type_block.nrrd": (nrrd("type: block", "block size: 99999999"), "type"),
    "type_missing.nrrd": (nrrd(drop=("type",)), "no field 'type'"),
    "encoding_bzip2.nrrd": (nrrd("encoding: bzip2"), "damaged compressed data"),
    "encoding_ascii.nrrd": (nrrd("encoding: ascii"), "text that is no number"),
    "encoding_unknown.nrrd": (nrrd("encoding: zstd"), "encoding"),
    "encoding_not_gzip.nrrd": (nrrd("encoding: gzip"), "not gzip"),
    "encoding_missing.nrrd": (nrrd(drop=("encoding",)), "no field 'encoding'"),
    "endian_missing.nrrd": (nrrd("type: int32", "sizes: 4 4 1", drop=("endian",)), "endian"),
    "byte_skip_beyond.nrrd": (nrrd("byte skip: 1000000"), "hold less"),
    "byte_skip_huge.nrrd": (nrrd("byte skip: 9223372036854775807"), "hold less"),
    "byte_skip_negative.nrrd": (nrrd("byte skip: -2"), "byte skip"),
    "byte_skip_gzip.nrrd": (nrrd("byte skip: -1", "encoding: gzip", data=squeeze(bytes(64))), "byte skip"),
    "line_skip.nrrd": (nrrd("line skip: 4294967295"), "line skip"),
    "truncated.nrrd": (nrrd()[:-1], "hold less"),
    "truncated_header.nrrd": (nrrd()[:60], "does not end"),
    "truncated_gzip.nrrd": (nrrd("sizes: 4 4 2", "encoding: gzip", data=squeeze(bytes(range(32)))[:-12]), "ends early"),
    "header_only_magic.nrrd": (b"NRRD0004\n", "does not end"),
    "header_cut_magic.nrrd": (b"NRRD000", "does not end"),
    "header_zero_byte.nrrd": (nrrd("type: uint8\0"), "zero byte"),
    "header_long_line.nrrd": (nrrd("sizes: " + "4 " * 5000), "a line of"),
    "header_endless.nrrd": (b"NRRD0004\n" + b"# " + b"x" * 3000, "does not end"),
    "data_absolute.nhdr": (nrrd("data file: /etc/hostname", data=b""), "must lie in the header's own folder"),
    "data_parent.nhdr": (nrrd("data file: ../nifti/truncated.nii", data=b""), "must lie in the header's own folder"),
    "data_missing.nhdr": (nrrd("data file: nowhere.raw", data=b""), "is missing"),
    "data_folder.nhdr": (nrrd("data file: .", data=b""), "is no plain file"),
    "data_pattern.nhdr": (nrrd("data file: slice%03d.raw 1 4 1", data=b""), "a list of files"),
    "data_format.nhdr": (nrrd("data file: %n%n%s 1 4 1", data=b""), "a list of files"),
    "data_list.nhdr": (nrrd("data file: LIST", data=b"a.raw\nb.raw\n"), "a list of files"),
    "data_itself.nhdr": (nrrd("sizes: 64 64 64", "data file: data_itself.nhdr", data=b""), "hold less"),
}


def main(root):
    for folder, files in (("nifti", NIFTI), ("nrrd", NRRD)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, (content, _) in files.items():
            (root / folder / name).write_bytes(content)
    lines = [f"{folder}/{name}\t{expected}\n" for folder, files in (("nifti", NIFTI), ("nrrd", NRRD)) for name, (_, expected) in files.items()]
    (root / "expected.txt").write_text("".join(lines))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
