#!/bin/bash
# The server in numbers: requests per second, upload MB/s, how fast a status comes while jobs run, jobs per minute.
# usage: bench/serve.sh CALVARIA [MODEL builtin:mirror]      prints a Markdown table; needs curl
calvaria=$1
model=${2:-builtin:mirror}
. "$(dirname "$0")/../tests/serve/lib.sh"
"$calvaria" phantom --out "$work/skulls" --count 1 --seed 5 --spacing-mm 2 --quiet
skull=$work/skulls/phantom_000.nii.gz
serve --model "$model" --queue 100 --max-upload 512M --no-picture
[ -n "$port" ] || { cat "$work/server.log"; exit 1; }
now() { date +%s.%N; }
row() { printf '| %s | %s |\n' "$1" "$2"; }
server_cpu() { awk '{ print ($14 + $15) / 100 }' "/proc/$pid/stat"; } # seconds, at the usual 100 ticks
printf '| %s | result |\n|---|---|\n' "model $model, $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg) before"

n=2000
printf 'url = "%s/healthz"\noutput = /dev/null\n' "$at" >"$work/one"
for _ in $(seq $n); do cat "$work/one"; done >"$work/many"
cpu=$(server_cpu) begin=$(now)
curl -s -K "$work/many"
row "GET /healthz, one client, one connection" "$(awk -v n=$n -v a="$begin" -v b="$(now)" -v c="$cpu" -v d="$(server_cpu)" 'BEGIN { printf "%.0f requests/s; %.0f per second of the server'"'"'s processor time", n / (b - a), (d > c) ? n / (d - c) : 0 }')"

{ printf 'NRRD0004\n'; head -c 268435456 /dev/zero; } >"$work/large.nrrd"
cpu=$(server_cpu) begin=$(now)
curl -s -F "file=@$work/large.nrrd" "$at/api/jobs" -o "$work/body"
row "upload of 256 MiB to disk" "$(awk -v a="$begin" -v b="$(now)" -v c="$cpu" -v d="$(server_cpu)" 'BEGIN { printf "%.0f MB/s; %.2f s of processor time", 268.4 / (b - a), d - c }')"
curl -s -X DELETE "$at/api/jobs/$(field id)"

jobs=3 begin=$(now)
for i in $(seq $jobs); do
    curl -s -F "file=@$skull" "$at/api/jobs" -o "$work/body"
    ids="${ids:-} $(field id)"
done
for _ in $(seq 300); do
    curl -s -o /dev/null -w '%{time_total}\n' "$at/api/jobs/${ids##* }"
done | sort -n >"$work/times"
row "GET /api/jobs/ID while jobs run" "$(awk '{ t[NR] = $1 } END { printf "p50 %.1f ms, p95 %.1f ms, slowest %.1f ms of %d", 1000 * t[int(NR / 2)], 1000 * t[int(NR * .95)], 1000 * t[NR], NR }' "$work/times")"
for id in $ids; do wait_for "$id" done || exit 1; done
row "skulls of 2 mm, one worker" "$(awk -v n=$jobs -v a="$begin" -v b="$(now)" 'BEGIN { printf "%.1f jobs/minute", 60 * n / (b - a) }')"
row "memory of the server after it" "$(awk -v m="$(metric resident_bytes)" 'BEGIN { printf "%.1f MB", m / 1e6 }')"
stop
