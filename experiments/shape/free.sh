#!/bin/sh
# The free model of models/default.h5: phantoms for the covariance, two heads of the Visible Human Project for the mean.
#   experiments/shape/free.sh HEADS OUT     HEADS: a folder with vh_tusx.nii.gz and vhf_head.nii.gz, binary skulls
# Makes OUT/default.h5; about 8 minutes of processor time, most of it for the phantoms.
set -eu
heads=$(realpath "$1")
out=$2
calvaria=${CALVARIA:-build/calvaria}
mkdir -p "$out/skulls"
[ -f "$out/skulls/phantom_039.nii.gz" ] ||
    "$calvaria" phantom --out "$out/skulls" --count 40 --seed 21 --spacing-mm 1
ln -sf "$heads/vh_tusx.nii.gz" "$heads/vhf_head.nii.gz" "$out/skulls/"
[ -f "$out/set.h5" ] || "$calvaria" pack "$out/skulls" --out "$out/set.h5" --split 1,0,0
"$calvaria" shape "$out/set.h5" --centre vh_tusx --centre vhf_head --no-tune --set empirical=0.5 --out "$out/default.h5" \
    --licence "MIT. From 40 procedural phantoms and two heads of the Visible Human Project (US National Library of \
Medicine, public domain; masks of ianheimbuch/tusx, BSD-3-Clause, and of GalMunGral/visible-human-volume)."
