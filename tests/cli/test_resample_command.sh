#!/bin/bash
# `calvaria resample`: spacing, right angles, another volume's grid; masks, labels and grey values. usage: test_resample_command.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1
info() { "$calvaria" info "$1" 2> /dev/null | awk -v key="$2" '$1 == key { $1 = ""; print substr($0, 2) }'; }

ok "$calvaria" phantom --out "$work" --count 1 --seed 3 --spacing-mm 2
skull=$work/phantom_000.nii.gz
ok "$calvaria" resample "$skull" --spacing-mm 4 --out "$work/coarse.nrrd"
holds 'the spacing' test "$(info "$work/coarse.nrrd" spacing)" = '4 x 4 x 4 mm'
holds 'a mask stays a mask' grep -q 'a mask: bone where more than half' "$work/stderr"
ok "$calvaria" resample "$work/coarse.nrrd" --like "$skull" --out "$work/back.nii.gz"
holds 'the other grid' test "$(info "$work/back.nii.gz" dims)" = "$(info "$skull" dims)"
holds 'its place' test "$(info "$work/back.nii.gz" origin)" = "$(info "$skull" origin)"
ok "$calvaria" resample "$skull" --spacing-mm 2,2,5 --out "$work/slices.nii.gz"
holds 'thick slices' test "$(info "$work/slices.nii.gz" spacing)" = '2 x 2 x 5 mm'

# 4 x 4 x 4 values x + 4 y + 16 z, sheared by 0.5 mm per slice: the value of a voxel is where it was
{ printf 'NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nspace: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0.5,1)\n'
  printf 'space origin: (0,0,0)\nencoding: ascii\n\n'; seq 0 63; } > "$work/tilted.nrrd"
ok "$calvaria" resample "$work/tilted.nrrd" --out "$work/upright.nrrd"
holds 'as many voxels as the corners need' test "$(info "$work/upright.nrrd" dims)" = '4 x 6 x 4 (x, y, z in LPS)'
holds 'grey values' grep -q 'grey values: linear' "$work/stderr"
ok "$calvaria" resample "$work/tilted.nrrd" --like "$work/tilted.nrrd" --values labels --out "$work/same.nrrd"
expect 1 'more than two values' "$calvaria" resample "$work/tilted.nrrd" --values mask --out "$work/none.nrrd"
absent "$work/none.nrrd"
expect 2 '--like and --spacing-mm' "$calvaria" resample "$skull" --like "$skull" --spacing-mm 1 --out "$work/none.nrrd"
expect 2 'no known format' "$calvaria" resample "$skull" --out "$work/none.png"
expect 1 'absent.nii' "$calvaria" resample "$work/absent.nii" --out "$work/none.nrrd"
expect 1 'reading the grid of --like' "$calvaria" resample "$skull" --like "$work/absent.nii" --out "$work/none.nrrd"
finish
