#!/bin/bash
# A run that goes on elsewhere: under another instruction set, with other threads, in another precision. usage: test_resume.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$(realpath "$1")
export OMP_WAIT_POLICY=passive
cd "$work" || exit 1
printf 'defects:\n  - { type: sphere, radius_mm: [25, 35], min_volume_ml: 1 }\n' >sphere.yaml
cat >tiny.yaml <<END
name: tiny
task: completion
network:
  name: tiny
  patch_vox: 8
  layers: [ { name: a, type: conv, filters: 8, kernel: 3 }, { type: relu }, { name: b, type: conv, filters: 1 }, { type: sigmoid } ]
data: { set: set.h5, defects: sphere.yaml, patch_vox: [8, 8, 8], workers: 1 }
loss: [ { type: bce } ]
optimizer: { type: adam, lr: 1.0e-3 }
train: { steps: 2, batch: 1, threads: 1, validate_every: 0, checkpoint_every: 2, plot_every: 0 }
END
ok "$calvaria" phantom --out skulls --count 2 --seed 3 --spacing-mm 8
ok "$calvaria" pack skulls --out set.h5 --split 0.5,0.5,0

start() { # FOLDER ISA SETTING...
    local folder=$1 isa=$2
    shift 2
    ok env CALVARIA_MAX_ISA="$isa" "$calvaria" train tiny.yaml --run "$folder" "$@"
}
resume() { # TEXT FOLDER ISA STEPS
    expect 0 "$1" env CALVARIA_MAX_ISA="$3" "$calvaria" train --resume "$2" --set train.steps="$4"
}
lines() { grep -c "^# resumed at step $2: .*$3" "$1/environment.txt"; }

# Undisturbed: nothing to tell.
start same plain
resume 'resumed after step 2' same plain 4
holds 'no warning where nothing changed' test "$(grep -c 'warning' same/log.txt)" = 0
holds 'no line where nothing changed' test "$(lines same 2 .)" = 0

# Another instruction set, each way; twice on the same one tells it once.
isas='plain'
if grep -q avx2 /proc/cpuinfo; then isas='avx2 plain'; else echo 'skipped: this processor has no AVX2'; fi
if grep -q avx512vl /proc/cpuinfo; then isas="avx512 $isas"; else echo 'skipped: this processor has no AVX-512'; fi
for from in $isas; do
    for to in $isas; do
        [ "$from" = "$to" ] && continue
        start "$from-$to" "$from"
        resume ", $to: the results will differ in the last bits" "$from-$to" "$to" 4
        holds 'the log keeps it' grep -q "$from.*resumed with .*$to: the results will differ" "$from-$to/log.txt"
        resume 'resumed after step 4' "$from-$to" "$to" 6
        holds 'the environment has it' test "$(lines "$from-$to" 2 "$to")" = 1
        holds 'once' test "$(lines "$from-$to" 4 .)" = 0
    done
done

# Other threads: those of the run stay, whatever --threads says; a recipe that was edited is told.
start threads plain
expect 0 'plain, 1 threads' env CALVARIA_MAX_ISA=plain "$calvaria" train --resume threads --set train.steps=4 --threads 2
sed -i 's/^  threads: 1/  threads: 2/' threads/recipe.yaml
resume '2 threads, the run began with 1: the results will differ in the last bits' threads plain 6
holds 'the environment has it' test "$(lines threads 4 '2 threads')" = 1

# Another precision is another run; one in bfloat16 goes on where the processor has no such numbers, and tells it.
expect 2 'network.precision=bfloat16: cannot change on resume' "$calvaria" train --resume threads --set network.precision=bfloat16
holds 'nothing changed' grep -q '^step: 6' threads/STATUS
start half plain --set network.precision=bfloat16
for isa in $isas; do
    [ "$isa" = plain ] || resume ", $isa: the results will differ in the last bits" half "$isa" 4
done
resume 'finished' half plain 8
finish
