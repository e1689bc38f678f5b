#!/bin/bash
# Nothing is left behind, nothing is waited for, and the same input gives the same bytes. usage: test_leftovers.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1
export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1
ok "$calvaria" phantom --out "$work/skulls" --count 3 --seed 3 --spacing-mm 6
ok "$calvaria" inject "$work/skulls/phantom_001.nii.gz" --defects configs/defects/craniotomy.yaml --out "$work/defects"
ok "$calvaria" pack "$work/skulls" --out "$work/set.h5" --split 0.5,0.5,0
defective=$work/defects/phantom_001_d00_defective.nii.gz
cat >"$work/recipe.yaml" <<YAML
name: tiny
task: completion
network: { name: tiny, input_channels: 1, patch_vox: [8, 8, 8], layers: [{ name: a, type: conv, filters: 2 }, { type: relu },
           { name: b, type: conv, filters: 1, kernel: 1 }, { type: sigmoid }] }
data: { set: "$work/set.h5", defects: "$PWD/configs/defects/craniotomy.yaml", patch_vox: [8, 8, 8], workers: 1 }
loss: [{ type: bce }]
optimizer: { type: adam, lr: 2.0e-3 }
train: { steps: 2, batch: 1, validate_every: 0, validate_cases: 0, checkpoint_every: 1, plot_every: 0 }
restore: { scan: overlap, overlap_frac: 0.5, threshold: 0.5 }
YAML
ok "$calvaria" train "$work/recipe.yaml" --run "$work/run"

# 1. What a killed process was writing goes with the next run into the same folder: the owner of a part is in its name.
# The machine's part of the name is taken from a part that is seen while it is written.
mkdir "$work/seen"
part=
for _ in {1..100}; do
    "$calvaria" pack "$work/skulls" --out "$work/seen/set.h5" --split 0.5,0.5,0 --overwrite --quiet & dead=$!
    while kill -0 $dead 2>/dev/null && [ -z "$part" ]; do
        part=$(find "$work/seen" -name ".set.h5.*-$dead-*.part")
    done
    wait $dead
    [ -z "$part" ] || break
done
host=${part##*/.set.h5.} host=${host%%-*}
holds "the machine's part of a name: $host" grep -Eq '^[0-9a-f]{8}$' <<< "$host"
sweeps() { # name of the file in the folder, command...
    local name=$1 folder=$work/swept
    shift
    mkdir -p "$folder"
    touch "$folder/.$name.$host-$dead-0.part" "$folder/.$name.$host-$$-0.part" "$folder/.$name.ffffffff-$dead-0.part"
    ok "$@"
    absent "$folder/.$name.$host-$dead-0.part"
    holds "$1 $2: a living process' part stays" test -e "$folder/.$name.$host-$$-0.part"
    holds "$1 $2: another machine's part stays" test -e "$folder/.$name.ffffffff-$dead-0.part"
    holds "$1 $2: nothing else is left" test "$(find "$folder" -name '.*.part' | wc -l)" = 2
    rm -rf "$folder"
}
out=$work/swept
sweeps a.nii.gz "$calvaria" phantom --out "$out" --count 1 --spacing-mm 8
sweeps a.nii.gz "$calvaria" inject "$work/skulls/phantom_001.nii.gz" --defects configs/defects/craniotomy.yaml --out "$out"
sweeps set.h5 "$calvaria" pack "$work/skulls" --out "$out/set.h5" --split 0.5,0.5,0
sweeps a.nii.gz "$calvaria" unpack "$work/set.h5" --out "$out"
sweeps a.stl "$calvaria" infer --model builtin:mirror "$defective" --out "$out" --no-picture
sweeps m.onnx "$calvaria" export "$work/run" --onnx "$out/m.onnx"
sweeps m.h5 "$calvaria" export "$work/run" --model "$out/m.h5"
sweeps k.h5 "$calvaria" import-keras tests/infer/keras/k3_tail.h5 --out "$out/k.h5"
sweeps metrics.csv "$calvaria" evaluate --truth "$work/defects" --predicted "$work/defects" --out "$out"
sweeps features.tsv "$calvaria" features --model "$work/run" "$defective" --out "$out"

# 2. A limit of the file size ends a command as a full disk does, not by a signal.
limited() { (ulimit -f "$1"; shift; "$@"); }
expect 1 'file write failed: File too large' limited 1 "$calvaria" pack "$work/skulls" --out "$work/large.h5" --split 0.5,0.5,0
absent "$work/large.h5"
expect 1 'error: ' limited 1 "$calvaria" infer --model builtin:mirror "$defective" --out "$work/limited"
expect 1 'file write failed: File too large' limited 4 "$calvaria" train "$work/recipe.yaml" --run "$work/limited_run"
holds 'no part is left' test -z "$(find "$work" -name '.*.part')"

# 3. A pipe of a name is refused before it is opened: nothing would ever come out of it.
mkfifo "$work/pipe.nii.gz" "$work/pipe.nrrd" "$work/pipe.h5" "$work/pipe.yaml"
fast() { timeout 20 "$@"; }
expect 1 'pipe' fast "$calvaria" infer --model builtin:mirror "$work/pipe.nii.gz" --out "$work/piped"
expect 1 'pipe' fast "$calvaria" segment "$work/pipe.nrrd" --out "$work/piped"
expect 1 'pipe' fast "$calvaria" info "$work/pipe.h5"
expect 1 'pipe' fast "$calvaria" infer --model "$work/pipe.h5" "$defective" --out "$work/piped"
expect 1 'pipe' fast "$calvaria" check "$work/pipe.h5"
expect 1 'pipe' fast "$calvaria" export "$work/pipe.h5" --onnx "$work/m.onnx"
expect 1 'pipe' fast "$calvaria" import-keras "$work/pipe.h5" --out "$work/k.h5"
expect 1 'pipe' fast "$calvaria" train "$work/recipe.yaml" --init "$work/pipe.h5" --run "$work/piped_run"
expect 1 'pipe' fast "$calvaria" shape "$work/pipe.h5" --out "$work/shape.h5"
expect 1 'pipe' fast "$calvaria" train "$work/pipe.yaml" --run "$work/piped_run"
expect 1 'pipe' fast "$calvaria" inject "$work/skulls/phantom_001.nii.gz" --defects "$work/pipe.yaml" --out "$work/piped"

# 4. Identical runs write identical files.
same() { holds "$3 is the same twice" cmp -s "$1" "$2"; }
ok "$calvaria" pack "$work/skulls" --out "$work/again.h5" --split 0.5,0.5,0
same "$work/set.h5" "$work/again.h5" 'a set'
ok "$calvaria" train "$work/recipe.yaml" --run "$work/again"
same "$work/run/last.h5" "$work/again/last.h5" 'a checkpoint'
ok "$calvaria" export "$work/run" --model "$work/m1.h5" --onnx "$work/m1.onnx"
ok "$calvaria" export "$work/run" --model "$work/m2.h5" --onnx "$work/m2.onnx"
same "$work/m1.h5" "$work/m2.h5" 'a model passed on'
same "$work/m1.onnx" "$work/m2.onnx" 'an ONNX file'
ok "$calvaria" import-keras tests/infer/keras/k3_tail.h5 --out "$work/k1.h5"
ok "$calvaria" import-keras tests/infer/keras/k3_tail.h5 --out "$work/k2.h5"
same "$work/k1.h5" "$work/k2.h5" 'an imported model'
ok "$calvaria" infer --model builtin:mirror "$defective" --out "$work/i1" --mesh-format all --set 'postprocess=[{keep_largest: 1}]'
ok "$calvaria" infer --model builtin:mirror "$defective" --out "$work/i2" --mesh-format all --set 'postprocess=[{keep_largest: 1}]'
for file in "$work"/i1/*; do
    case $file in *_report.*) ;; *) same "$file" "$work/i2/${file##*/}" "${file##*_}" ;; esac # reports hold times
done
finish
