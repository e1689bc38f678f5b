#!/bin/bash
# Stages, folds, ensembles and shared work as a user does it, from another folder, with relative paths. usage: test_folds_command.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$(realpath "$1")
root=$PWD
export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1
cd "$work" || exit 1
ok "$calvaria" phantom --out skulls --count 4 --seed 3 --spacing-mm 5
ok "$calvaria" pack skulls --out set.h5 --split 0.5,0.5,0
mkdir recipes there
cat >recipes/tiny.yaml <<END
extends: $root/configs/recipes/demo_implant.yaml
name: tiny
data: { set: nowhere.h5, patch_vox: [16, 16, 16] }
train: { steps: 1, validate_every: 1, validate_patches: 1, validate_cases: 0, best: loss, plot_every: 0, threads: 1 }
END
sed -i 's/extends: .*recipes/extends: ..\/recipes_of_calvaria/' recipes/tiny.yaml
ln -s "$root/configs/recipes" recipes_of_calvaria

# Paths on the command line start where the command is, those of a file at the file. The file's set is not there.
cd there || exit 1
expect 1 'recipes/nowhere.h5: no such file' "$calvaria" train ../recipes/tiny.yaml --run run
absent run
ok "$calvaria" train ../recipes/tiny.yaml --set data.set=../set.h5 --run run
ok "$calvaria" train ../recipes/tiny.yaml --set data.set=../set.h5 --init run --run again
ok "$calvaria" train ../recipes/tiny.yaml --set data.set=../set.h5 --set train.init=run --run third
holds 'both start from the same weights' cmp -s again/last.h5 third/last.h5
cat >../recipes/ablation.yaml <<END
name: two
base: tiny.yaml
set: [data.set=../set.h5]
seeds: [1]
axes: [ { name: defects, values: [ { name: blobs, set: [data.defects=../recipes_of_calvaria/../defects/blobs.yaml] }, { name: base } ] } ]
evaluate: { cases: 1, metrics: [dsc], defects: ../recipes_of_calvaria/../defects/cube.yaml }
END
expect 0 '| blobs |' "$calvaria" ablate ../recipes/ablation.yaml --out grid
expect 0 '| base |' "$calvaria" ablate ../recipes/ablation.yaml --set data.set=../set.h5 --out grid
ok "$calvaria" inject ../skulls/phantom_000.nii.gz ../skulls/phantom_001.nii.gz ../skulls/phantom_002.nii.gz --defects ../recipes_of_calvaria/../defects/sphere.yaml --out holes
inputs=(holes/*_defective.nii.gz)
ok "$calvaria" infer --model run "${inputs[0]}" --out restored --no-mesh --no-picture --no-page
ok "$calvaria" export run --model one.h5 --onnx one.onnx
holds 'the exports are here' test -s one.h5 -a -s one.onnx

# Two stages: the second starts from the first's weights.
cat >../recipes/stages.yaml <<END
name: pair
stages:
  - { name: first, extends: tiny.yaml }
  - { name: second, extends: tiny.yaml, train: { init: first } }
END
ok "$calvaria" train ../recipes/stages.yaml --set data.set=../set.h5 --run pair
holds 'one model at the end' test -s pair/model.h5
expect 0 'pair/second' "$calvaria" runs .
expect 0 'second: finished before' "$calvaria" train --resume pair
expect 2 "did you mean 'first'" "$calvaria" train ../recipes/stages.yaml --set data.set=../set.h5 --set stages.frst.seed=1
expect 0 'init: first' "$calvaria" info ../recipes/stages.yaml

# Folds, and their ensemble in every command that takes a model.
expect 2 'holds 4 heads' "$calvaria" train ../recipes/tiny.yaml --set data.set=../set.h5 --folds 9 --run no
ok "$calvaria" train ../recipes/tiny.yaml --set data.set=../set.h5 --folds 2 --run folds
holds 'the table is printed' grep -q '±' "$work/stdout"
holds 'one row for each head' test "$(wc -l <folds/out_of_fold.tsv)" = 5
expect 0 'ensemble   2 members' "$calvaria" info folds/model.h5
expect 0 'out_of_fold: true' "$calvaria" info folds/model.h5
ok "$calvaria" infer --model folds "${inputs[0]}" --out together --mesh-format ply
holds 'the report counts its members' grep -q '"members":	2' together/*_report.json
ok "$calvaria" export folds --onnx all.onnx --model passed_on.h5 --licence 'free as air'
holds 'an ONNX file for each member' test -s all_1.onnx -a -s all_2.onnx
expect 0 'free as air' "$calvaria" info passed_on.h5
ok "$calvaria" export folds --member 2 --model second.h5
ok "$calvaria" infer --model passed_on.h5 "${inputs[0]}" --out passed --no-mesh --no-picture --no-page
holds 'passed on, it restores the same' cmp -s together/*_implant.nii.gz passed/*_implant.nii.gz
expect 2 'member 3 of 2' "$calvaria" export folds --member 3 --model no.h5
expect 2 'no ensemble' "$calvaria" export second.h5 --member 1 --model no.h5
expect 1 'an ensemble of several models' "$calvaria" train ../recipes/tiny.yaml --set data.set=../set.h5 --init folds --run no
absent no no.h5

# Shared by processes: one is killed, the rest lose nothing, one more completes what is left.
many=("$calvaria" infer --model run "${inputs[@]}" --join --no-mesh --no-picture --no-page --out)
ok "${many[@]}" alone
"${many[@]}" shared >/dev/null 2>&1 &
killed=$!
"${many[@]}" shared >/dev/null 2>&1 &
other=$!
sleep 0.3
kill -9 $killed
wait $killed 2>/dev/null
wait $other
holds 'the other process ends well' test $? = 0
expect 0 'cases were done before' "${many[@]}" shared
holds 'every skull is restored' test "$(ls shared/*_report.json | wc -l)" = "${#inputs[@]}"
for file in alone/*_implant.nii.gz; do
    holds "$file: the same bytes" cmp -s "$file" "shared/$(basename "$file")"
done
expect 2 'exists' "$calvaria" infer --model run "${inputs[@]}" --out shared
finish
