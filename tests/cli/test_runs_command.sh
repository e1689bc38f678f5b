#!/bin/bash
# Run folders listed: finished, stopped on request, killed, running, unborn. usage: test_runs_command.sh CALVARIA
. "$(dirname "$0")/lib.sh"
calvaria=$1
export OMP_WAIT_POLICY=passive
ok "$calvaria" phantom --out "$work/skulls" --count 4 --seed 3 --spacing-mm 5
ok "$calvaria" pack "$work/skulls" --out "$work/set.h5" --split 0.5,0.5,0
set=(--set "data.set=$work/set.h5" --set data.patch_vox=32 --set train.validate_patches=1 --set train.validate_cases=0 --set train.best=loss
     --set train.plot_every=0 --set train.threads=1)
recipe=configs/recipes/demo_completion.yaml
ok "$calvaria" train "$recipe" "${set[@]}" --set train.steps=2 --run "$work/runs/done"
# Idle threads sleep soon, unless the user has set it; the run records which.
holds 'the setting of idle threads is recorded' grep -q "^idle_threads: 'OMP_WAIT_POLICY=passive'" "$work/runs/done/environment.txt"
ok env -u OMP_WAIT_POLICY "$calvaria" train "$recipe" "${set[@]}" --set train.steps=1 --run "$work/idle"
if [ "$(nproc)" -gt 1 ]; then
    holds 'idle threads sleep soon' grep -q "^idle_threads: 'GOMP_SPINCOUNT=2000'" "$work/idle/environment.txt"
fi
"$calvaria" train "$recipe" "${set[@]}" --set train.steps=100000 --set train.validate_every=0 --run "$work/runs/deep/long" >"$work/log" 2>&1 &
pid=$!
for _ in $(seq 200); do [ -s "$work/runs/deep/long/metrics.tsv" ] && [ "$(wc -l <"$work/runs/deep/long/metrics.tsv")" -gt 3 ] && break; sleep 0.1; done
list() { "$calvaria" runs "$work/runs"; }
expect 0 'done       finished  2/2' list
expect 0 'deep/long  running' list
kill -9 $pid
wait $pid 2>/dev/null
expect 0 'deep/long  stopped' list
expect 0 'killed' list
holds 'the step of a killed run is that of its checkpoint' grep -q '0/100000' "$work/stdout"
mkdir -p "$work/runs/unborn"
touch "$work/runs/unborn/recipe.yaml" "$work/runs/unborn/log.txt"
expect 0 'unborn     failed' list
"$calvaria" runs "$work/runs" --json >"$work/json" 2>/dev/null
holds 'the list is JSON' test "$(tr -d '\t\n ' <"$work/json" | grep -o '"run":"done","status":"finished","step":2,"steps":2,"best_metric":"loss","best":[0-9.]*,"best_step":2' | wc -l)" = 1
expect 0 'finished' "$calvaria" runs "$work/runs/done"
expect 2 'no such folder' "$calvaria" runs "$work/nothing"
mkdir "$work/empty"
expect 0 'no run folder' "$calvaria" runs "$work/empty"

# --watch: no display; a gnuplot without windows; one with, here a script that keeps what it is told
watch() { "$calvaria" train "$recipe" "${set[@]}" --set train.steps=2 --set train.validate_every=0 --watch --run "$work/runs/$1"; }
mkdir "$work/bin"
gnuplot() { printf '#!/bin/sh\nif [ "$1" = -e ]; then echo "canvas %s png" >&2; else cat >>"%s"; fi\n' "$1" "$work/told" >"$work/bin/gnuplot"; chmod +x "$work/bin/gnuplot"; }
unset DISPLAY WAYLAND_DISPLAY
expect 0 'no window: there is no display' watch blind
export DISPLAY=:77 PATH="$work/bin:$PATH"
gnuplot qtx
expect 0 'no window: this gnuplot was built without' watch windowless
gnuplot x11
ok watch shown
holds 'the window is told to draw' grep -q "set terminal x11 noraise" "$work/told"
holds 'the window draws the run' grep -q "cd '$work/runs/shown/plots'" "$work/told"
holds 'the window draws the loss' grep -q "using 'step':'loss'" "$work/told"
finish
