#!/bin/sh
# The whole experiment: pack, train both networks, restore the held-out skulls with them and with the trivial answers, evaluate.
#   experiments/first_light/run.sh SKULLS     SKULLS: a folder with NNN_complete.nrrd and NNN_implant.nrrd (SkullFix)
set -eu
skulls=$1
out=runs/first_light
calvaria=build/calvaria
mkdir -p "$out"
$calvaria pack "$skulls" --out "$out/set.h5" --split-file experiments/restoration/split.tsv
$calvaria unpack "$out/set.h5" --split val --out "$out/truth"

for task in completion implant; do
    $calvaria train "configs/recipes/mia_patch_$task.yaml" --run "$out/$task" --set "data.set=$out/set.h5" \
        --set data.defects=null --set data.sampler=defect --set data.defect_ratio=0.6 --set data.patches_per_skull=4 \
        --set train.steps=220 --set train.validate_every=110 --set train.validate_patches=6 --set train.validate_cases=1
done
for answer in builtin:nothing builtin:mirror "$out/completion" "$out/implant"; do
    name=$(basename "$answer" | tr ':' '_')
    keep=--keep-raw
    case $answer in builtin:*) keep=--no-picture ;; esac
    $calvaria infer --model "$answer" "$out"/truth/*_defective.nrrd --out "$out/restored_$name" $keep
done
for name in builtin_nothing builtin_mirror; do
    $calvaria evaluate --truth "$out/truth" --predicted "$out/restored_$name" --out "$out/restored_$name" --overwrite
done
for task in completion implant; do
    $calvaria evaluate --truth "$out/truth" --predicted "$out/restored_$task" --out "$out/restored_$task" --overwrite --intact "$task" --top-vox 128
done
