#!/bin/bash
# Bad input ends with one clear error, the right exit code, and nothing half-written. usage: test_bad_input.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1

ok "$calvaria" phantom --out "$work/skulls" --count 2 --seed 3 --spacing-mm 4
skull=$work/skulls/phantom_000.nii.gz

# volumes: missing, truncated, corrupt, no volume at all
expect 1 'missing.nii.gz' "$calvaria" inject "$work/missing.nii.gz" --defects configs/defects/cube.yaml --out "$work/out"
head -c 2000 "$skull" >"$work/truncated.nii.gz"
expect 1 'truncated.nii.gz' "$calvaria" inject "$work/truncated.nii.gz" --defects configs/defects/cube.yaml --out "$work/out"
head -c 5000 /dev/urandom >"$work/noise.nrrd"
expect 1 'noise.nrrd' "$calvaria" inject "$work/noise.nrrd" --defects configs/defects/cube.yaml --out "$work/out"
printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 1000000 1000000 1000000\nencoding: raw\n\nxx' >"$work/huge.nrrd"
expect 1 'huge.nrrd' "$calvaria" info "$work/huge.nrrd"
printf 'NRRD0004\ntype: uint8\ndimension: 2\nsizes: 4 4\nencoding: raw\n\n0123456789abcdef' >"$work/flat.nrrd"
expect 1 'flat.nrrd' "$calvaria" inject "$work/flat.nrrd" --defects configs/defects/cube.yaml --out "$work/out"
nrrd3() { # name, 8 bytes
    { printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nspace: left-posterior-superior\n'
      printf 'space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\n\n'; printf "$2"; } >"$work/$1"
}
nrrd3 empty.nrrd '\0\0\0\0\0\0\0\0'
expect 1 'empty.nrrd' "$calvaria" inject "$work/empty.nrrd" --defects configs/defects/cube.yaml --out "$work/out"
nrrd3 grey.nrrd '\0\1\2\3\4\5\6\7'
expect 1 'grey.nrrd' "$calvaria" inject "$work/grey.nrrd" --defects configs/defects/cube.yaml --out "$work/out"
printf 'NRRD0004\ntype: uint8\ndimension: 4\nsizes: 2 2 2 2\nencoding: raw\n\n0123456789abcdef' >"$work/four.nrrd"
expect 1 'four.nrrd' "$calvaria" inject "$work/four.nrrd" --defects configs/defects/cube.yaml --out "$work/out"
for name in missing truncated noise flat empty grey four; do
    absent "$work/out/${name}_d00_defective.nii.gz" "$work/out/${name}_d00_defective.nrrd" "$work/out/${name}_d00_implant.nrrd"
done

# defect files
printf 'defects:\n  - { type: cubes }\n' >"$work/kind.yaml"
expect 2 'kind.yaml:2' "$calvaria" inject "$skull" --defects "$work/kind.yaml" --out "$work/out"
printf 'defects:\n  - { type: cube, edgy: 3 }\n' >"$work/key.yaml"
expect 2 'key.yaml:2:19' "$calvaria" inject "$skull" --defects "$work/key.yaml" --out "$work/out"
expect 2 'none.yaml' "$calvaria" inject "$skull" --defects "$work/none.yaml" --out "$work/out"

# datasets
expect 1 'nowhere' "$calvaria" pack "$work/nowhere" --out "$work/set.h5"
mkdir "$work/hollow"
expect 1 'hollow' "$calvaria" pack "$work/hollow" --out "$work/set.h5"
expect 2 'split' "$calvaria" pack "$work/skulls" --out "$work/set.h5" --split 0.5,0.1,0.1
absent "$work/set.h5"
ok "$calvaria" pack "$work/skulls" --out "$work/set.h5" --split 0.5,0.5,0
head -c 3000 "$work/set.h5" >"$work/cut.h5"
expect 1 'cut.h5' "$calvaria" check "$work/cut.h5"
expect 1 'cut.h5' "$calvaria" unpack "$work/cut.h5" --out "$work/unpacked"
expect 1 'noise.nrrd' "$calvaria" check "$work/noise.nrrd"

# recipes: key, type, range, a patch that does not divide, position and remedy told
recipe() { printf "extends: [$PWD/configs/networks/unet3d_small.yaml]\ndata:\n  set: $work/set.h5\n$1\n" >"$work/recipe.yaml"; }
train() { "$calvaria" train "$work/recipe.yaml" --run "$work/run"; }
recipe 'train:\n  stesp: 3'
expect 2 "recipe.yaml:5:3: train.stesp: unknown key (did you mean 'steps'?)" train
recipe 'train:\n  steps: soon'
expect 2 'recipe.yaml:5:10: train.steps' train
recipe 'train:\n  steps: -5'
expect 2 'recipe.yaml:5:10: train.steps' train
recipe '  patch_vox: [50, 48, 48]'
expect 2 'recipe.yaml:4:' train
recipe 'seed: 1\nseed: 2'
expect 2 'recipe.yaml:5:1' train
recipe 'train: [1, 2'
expect 2 'recipe.yaml:' train
expect 2 '--set train.steps' "$calvaria" train configs/recipes/demo_completion.yaml --set train.steps=x --run "$work/run"
absent "$work/run"

# models
head -c 3000 "$work/set.h5" >"$work/model.h5"
expect 1 'model.h5' "$calvaria" infer --model "$work/model.h5" "$skull" --out "$work/restored"
expect 1 'set.h5' "$calvaria" infer --model "$work/set.h5" "$skull" --out "$work/restored"
expect 1 'no_model.h5' "$calvaria" infer --model "$work/no_model.h5" "$skull" --out "$work/restored"
expect 2 'builtin' "$calvaria" infer --model builtin:magic "$skull" --out "$work/restored"

# one bad case does not stop the others; two inputs of one name are refused before any work
cp "$skull" "$work/good_defective.nii.gz"
cp "$skull" "$work/good.nii.gz"
expect 1 'noise.nrrd' "$calvaria" infer --model builtin:nothing "$work/noise.nrrd" "$work/good.nii.gz" --out "$work/restored"
holds 'the good case was restored' test -s "$work/restored/good_implant.nii.gz"
expect 2 'good' "$calvaria" infer --model builtin:nothing "$work/good_defective.nii.gz" "$work/good.nii.gz" --out "$work/restored2"
absent "$work/restored2"

# results that are there already are replaced on request alone, by every command alike
mkdir "$work/twin"
cp "$skull" "$work/twin/"
ok "$calvaria" inject "$skull" --defects configs/defects/cube.yaml --out "$work/again"
expect 2 'exists already (--overwrite' "$calvaria" inject "$skull" --defects configs/defects/cube.yaml --out "$work/again"
ok "$calvaria" inject "$skull" --defects configs/defects/cube.yaml --out "$work/again" --overwrite
expect 2 'exists already (--overwrite' "$calvaria" phantom --out "$work/skulls" --count 1 --spacing-mm 4
expect 2 'exists already (--overwrite' "$calvaria" pack "$work/skulls" --out "$work/set.h5"
ok "$calvaria" unpack "$work/set.h5" --out "$work/back"
expect 2 'exists already (--overwrite' "$calvaria" unpack "$work/set.h5" --out "$work/back"
expect 1 "is a file" "$calvaria" unpack "$work/set.h5" --out "$work/set.h5/unpacked" # its progress was shown before it began
expect 2 'exists already (--overwrite' "$calvaria" infer --model builtin:nothing "$work/good.nii.gz" --out "$work/restored"
ok "$calvaria" infer --model builtin:nothing "$work/good.nii.gz" --out "$work/restored" --overwrite --no-picture
expect 2 "has the name 'phantom_000' of" "$calvaria" segment "$skull" "$work/twin/phantom_000.nii.gz" --out "$work/segmented"

# messages that send nobody in a circle: a mask is no CT, and a map of labels is read by --label
expect 1 "give it to 'calvaria infer' as it is" "$calvaria" segment "$skull" --out "$work/segmented"
nrrd3 labels.nrrd '\0\1\2\0\0\0\0\0'
expect 1 '3 labels: 0, 1 (0.0 ml), 2 (0.0 ml) (--label N' "$calvaria" infer --model builtin:nothing "$work/labels.nrrd" --out "$work/labels"
ok "$calvaria" infer --model builtin:nothing "$work/labels.nrrd" --label 2 --out "$work/labels" --no-picture
expect 1 '(--strict)' "$calvaria" infer --model builtin:nothing "$work/labels.nrrd" --label 2 --strict --overwrite --out "$work/labels"

# an output folder that is a file; a full disk
touch "$work/file"
expect 1 'file' "$calvaria" phantom --out "$work/file" --count 1 --spacing-mm 4
if mkdir "$work/tiny" && mount -t tmpfs -o size=16k tmpfs "$work/tiny" 2>/dev/null; then
    expect 1 'tiny' "$calvaria" phantom --out "$work/tiny" --count 1 --spacing-mm 1.5
    holds 'nothing is left on the full disk' test -z "$(ls -A "$work/tiny")"
    umount "$work/tiny"
else
    skipped=$((skipped + 1))
    printf '    skipped: a full disk needs the right to mount a tmpfs\n'
fi
finish
