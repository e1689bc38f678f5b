#!/bin/sh
# The cases that models are measured on: the validation skulls of split.tsv, with the data set's own defects and with eight kinds of synthetic ones.
#   experiments/restoration/truth.sh SKULLS OUT     SKULLS: a folder with NNN_complete.nrrd and NNN_implant.nrrd (SkullFix)
set -eu
skulls=$(realpath "$1")
out=$2
here=$(dirname "$0")
calvaria=${CALVARIA:-build/calvaria}
mkdir -p "$out/skulls"
for name in $(awk '$2 == "val" { print $1 }' "$here/split.tsv"); do
    ln -sf "$skulls/${name}_complete.nrrd" "$skulls/${name}_implant.nrrd" "$out/skulls/"
done
"$calvaria" pack "$out/skulls" --out "$out/set.h5"
"$calvaria" unpack "$out/set.h5" --out "$out/official"
"$calvaria" inject "$out"/skulls/*_complete.nrrd --defects "$here/../../configs/defects/blobs.yaml" --out "$out/blobs"
for family in craniotomy parietotemporal frontoorbital bilateral random_1 random_2 bilateral_large; do
    "$calvaria" inject "$out"/skulls/*_complete.nrrd --defects "$here/defects/$family.yaml" --out "$out/$family" --preview "$out/$family.png"
done
