#!/bin/bash
# Whole commands and small tests under valgrind's memcheck: values that were never set, which no sanitizer of GCC finds, and memory that is
# definitely lost. usage: memcheck.sh CALVARIA [TEST...]
# A program that is run by another one is not looked at: the server's jobs run here by themselves.
. "$(dirname "$0")/../cli/lib.sh"
calvaria=$1
shift
command -v valgrind >/dev/null || { echo '    skipped: no valgrind'; exit 77; }
# valgrind knows AVX2 at most; without a setting of OpenMP's the program starts itself once more, which valgrind refuses.
export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1 CALVARIA_MAX_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2

clean() { # command...
    local code=0
    timeout 600 valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=9 \
        --child-silent-after-fork=yes --log-file="$work/found" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null || code=$?
    verdict "$code" "exit code $code: $*"
    [ "$code" -eq 0 ] || head -n 40 "$work/found" | sed 's/^/    /'
    [ "$code" -eq 0 ] || tail -n 3 "$work/stderr" | sed 's/^/    /'
}

# What the commands read.
in=$work/in
out=$work/out
mkdir "$in" "$out"
defective=$in/phantom_001_d00_defective.nii.gz
ok "$calvaria" phantom --out "$in/skulls" --count 3 --seed 3 --spacing-mm 6
ok "$calvaria" inject "$in/skulls/phantom_001.nii.gz" --defects configs/defects/craniotomy.yaml --out "$in"
ok "$calvaria" pack "$in/skulls" --out "$in/set.h5" --split 0.5,0.5,0
printf 'defects: [{ type: sphere, radius_mm: [25, 35], min_volume_ml: 1 }]\n' >"$in/sphere.yaml"
cat >"$in/tiny.yaml" <<'YAML'
name: tiny
seed: 1
task: completion
network:
  name: tiny
  patch_vox: 16
  layers:
    - { type: conv, name: enc, filters: 4, stride: 2 }
    - { type: leaky_relu, slope: 0.2 }
    - { type: batch_norm, name: norm, momentum: 0.8 }
    - { type: dropout, rate: 0.3 }
    - { type: upsample, name: up }
    - { type: concat, from: [up, input] }
    - { type: instance_norm }
    - { type: conv, name: head, filters: 1, kernel: 1 }
    - { type: sigmoid }
data: { set: set.h5, defects: sphere.yaml, patch_vox: [16, 16, 16], workers: 1 }
loss: [{ type: bce }, { type: dice }]
optimizer: { type: adam, lr: 2.0e-3 }
train: { steps: 2, batch: 1, validate_every: 2, validate_patches: 1, validate_cases: 0, checkpoint_every: 1, plot_every: 0, best: loss }
restore: { scan: grid, threshold: 0.9, postprocess: [{ keep_largest: 1 }] }
YAML
ok "$calvaria" train "$in/tiny.yaml" --run "$in/run"
printf 'NRRD0004\ntype: short\ndimension: 3\nsizes: 40 40 40\nspace: left-posterior-superior\n' >"$in/ct.nrrd"
printf 'space directions: (5,0,0) (0,5,0) (0,0,5)\nspace origin: (0,0,0)\nendian: little\nencoding: raw\n\n' >>"$in/ct.nrrd"
perl -e 'for $i (0..63999) { $r = sqrt(($i % 40 - 20) ** 2 + (int($i / 40) % 40 - 20) ** 2 + (int($i / 1600) - 20) ** 2);
                             print pack("s<", $r > 17 ? -1000 : $r > 15 ? 800 : 40) }' >>"$in/ct.nrrd"

clean "$calvaria" phantom --out "$out" --count 1 --seed 3 --spacing-mm 8
clean "$calvaria" inject "$in/skulls/phantom_001.nii.gz" --defects "$in/sphere.yaml" --out "$out"
clean "$calvaria" segment "$in/ct.nrrd" --out "$out"
clean "$calvaria" resample "$in/skulls/phantom_001.nii.gz" --spacing-mm 5 --out "$out/resampled.nii.gz"
clean "$calvaria" pack "$in/skulls" --out "$out/set.h5" --split 0.5,0.5,0
clean "$calvaria" unpack "$in/set.h5" --out "$out/unpacked"
clean "$calvaria" check "$in/set.h5"
clean "$calvaria" train "$in/tiny.yaml" --run "$out/run"
clean "$calvaria" info "$in/run"
clean "$calvaria" export "$in/run" --onnx "$out/model.onnx" --model "$out/model.h5"
clean "$calvaria" import-keras tests/infer/keras/k3_joints.h5 --out "$out/keras.h5"
clean "$calvaria" features --model "$in/run" "$defective" --out "$out/features"
clean "$calvaria" infer --model builtin:mirror --set 'postprocess=[{keep_largest: 1}]' --mesh-format all --insertable --no-picture "$defective" --out "$out"
clean "$calvaria" infer --model "$in/run" --no-picture "$defective" --out "$out/by_network"
printf 'name: grid\nbase: tiny.yaml\nset: [data.set=set.h5, data.defects=sphere.yaml, train.threads=1]\nseeds: [1]\n' >"$in/grid.yaml"
printf 'axes: [{ name: rate, values: [{ name: low, set: [optimizer.lr=1.0e-3] }] }]\nevaluate: { cases: 1, defects: sphere.yaml }\n' >>"$in/grid.yaml"
clean "$calvaria" ablate "$in/grid.yaml" --out "$out/grid"
clean "$calvaria" view "$in" --out "$out/view.png"
clean "$calvaria" runs "$in" --json
clean "$calvaria" mesh "$out/phantom_001_d00_implant.nii.gz" --out "$out/implant.3mf"
clean "$calvaria" evaluate --truth "$in" --predicted "$in" --out "$out/table"
mkdir -p "$out/job/in" "$out/job/work" "$out/job/out"
cp "$defective" "$out/job/in/upload"
printf '{"format_version":1,"id":"%032d","name":"skull","state":"running","segment":"auto"}' 7 >"$out/job/job.json"
clean "$calvaria" serve-job --folder "$out/job" --model builtin:mirror --set 'postprocess=[{keep_largest: 1}]' --no-picture
for test in "$@"; do clean "$test"; done
finish
