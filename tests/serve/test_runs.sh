#!/bin/bash
# The live page's data: run folders are found, read while they grow, and nothing else is. usage: test_runs.sh CALVARIA
calvaria=$1
. "$(dirname "$0")/lib.sh"

mkdir -p "$work/runs/first/validation" "$work/runs/study/second" "$work/runs/empty" "$work/runs/.hidden"
run() { # FOLDER STATE
    printf "state: %s\nstep: 20\nsteps: 50\nupdated: '2026-01-02 03:04:05'\nbest: { metric: dsc, value: 0.5, step: 10 }\n" "$2" >"$1/STATUS"
    printf 'step\tdraw\tloss\tval_loss\n1\t0\t2\t\n2\t0\t1\t\n2\t\t\t1.5\n3\t0\t0.5' >"$1/metrics.tsv"
}
run "$work/runs/first" running
run "$work/runs/study/second" finished
run "$work/runs/.hidden" finished
printf '\211PNG one' >"$work/runs/first/validation/step_000010.png"
printf 'case\tdsc\n' >"$work/runs/first/validation/step_000010.tsv"
ln -s /etc/passwd "$work/runs/first/validation/linked.png"
echo secret >"$work/secret.png"

expect 2 'no folder' "$calvaria" serve --model builtin:mirror --runs "$work/absent" --port 0 --state "$state"
serve --model builtin:mirror --no-picture
answers 404 'no runs are shown' /api/runs
answers 404 '' '/api/runs/metrics?run=first'
answers 200 '"runs":false' /api/info
stop

serve --model builtin:mirror --no-picture --runs "$work/runs"
answers 200 '"runs":true' /api/info
answers 200 '"name":"first","state":"running","step":20,"steps":50' /api/runs
holds 'below a folder too' grep -q '"name":"study/second","state":"finished"' "$work/body"
holds 'its best' grep -q '"best":{"metric":"dsc","value":0.5,"step":10}' "$work/body"
holds 'two runs alone' test "$(grep -o '"steps"' "$work/body" | wc -l)" = 2
answers 200 'text/tab-separated-values' '/api/runs/metrics?run=first'
holds 'whole rows alone' test "$(cat "$work/body")" = "$(head -4 "$work/runs/first/metrics.tsv")"
tag=$(sed -n 's/^ETag: //p' "$work/head" | tr -d '\r')
answers 304 '' '/api/runs/metrics?run=first' -H "If-None-Match: $tag"
printf '\n4\t0\t0.25\t\n' >>"$work/runs/first/metrics.tsv"
answers 200 '0.25' '/api/runs/metrics?run=first' -H "If-None-Match: $tag"
perl -e 'print "step\tdraw\tloss\tval_loss\n"; for (1..9000) { print "$_\t0\t1\t\n"; print "$_\t\t\t7\n" if $_ % 1000 == 0 }' >"$work/runs/study/second/metrics.tsv"
answers 200 '' '/api/runs/metrics?run=study/second'
holds 'many rows are thinned' test "$(wc -l <"$work/body")" -lt 2100 -a "$(wc -l <"$work/body")" -gt 1500
holds 'every validation stays' test "$(grep -c '7$' "$work/body")" = 9
answers 200 'PNG one' '/api/runs/picture?run=first&picture=step_000010.png'
holds 'as a picture' grep -q '^Content-Type: image/png' "$work/head"

# --- nothing else
for run in '' '.' '..' 'empty' '.hidden' 'first/' 'study' '/etc' 'study/../first' "$work/runs/first"; do
    answers 404 'no such run' "/api/runs/metrics?run=$run"
done
answers 404 'no such run' /api/runs/metrics
for picture in 'step_000010.tsv' '../STATUS' 'linked.png' '../../../secret.png' 'absent.png' '' '.png'; do
    answers 404 'no such run' "/api/runs/picture?run=first&picture=$picture"
done
answers 404 'no such run' '/api/runs/picture?run=first'
answers 405 'Allow' /api/runs -X POST -d ''
printf 'state: [' >"$work/runs/first/STATUS"
answers 200 '"name":"first","state":null' /api/runs
holds 'no answer but the documented ones' test "$(metric answers_undocumented_total)" = 0
stop
printf 'f1e2d3c4b5a697887766554433221100\n' >"$work/token"
serve --model builtin:mirror --no-picture --runs "$work/runs" --token-file "$work/token"
answers 401 'token' /api/runs
answers 401 'token' '/api/runs/metrics?run=first'
stop
holds 'a clean end' test "$ended" -eq 0

# DIR may be a run itself
serve --model builtin:mirror --no-picture --runs "$work/runs/study/second"
answers 200 '"name":"","state":"finished"' /api/runs
answers 200 'val_loss' '/api/runs/metrics?run='
stop
silent
finish
