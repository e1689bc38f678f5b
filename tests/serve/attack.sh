#!/bin/bash
# The server under load and attack: 50 uploads at once, aborted uploads, malformed multipart, huge headers, traversal names, wrong tokens,
# slow clients, a kill in the middle. Nothing may be lost, leaked or left, and its memory stays bounded. Best with a sanitizer's build.
# usage: attack.sh CALVARIA [ROUNDS 3]
calvaria=$1
rounds=${2:-3}
. "$(dirname "$0")/lib.sh"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}

ok "$calvaria" phantom --out "$work/skulls" --count 1 --seed 5 --spacing-mm 5
skull=$work/skulls/phantom_000.nii.gz
printf 'f1e2d3c4b5a697887766554433221100\n' >"$work/token"
chmod 600 "$work/token"
token='Authorization: Bearer f1e2d3c4b5a697887766554433221100'
begin() { serve --model builtin:nothing --token-file "$work/token" --queue 60 --max-upload 4M --no-picture --drain-s 0; }
begin
resident() { curl -s -H "$token" "$at/metrics" | sed -n 's/^calvaria_resident_bytes //p'; }
count() { curl -s -H "$token" "$at/metrics" | sed -n "s/^calvaria_$1 //p"; }
send() { # raw bytes from stdin, and what comes back within two seconds
    exec 4<>"/dev/tcp/127.0.0.1/$port" || return
    cat >&4 2>/dev/null
    timeout 2 cat <&4 2>/dev/null | head -c 4000
    exec 4>&-
}
alive() { holds "alive after $1" test "$(curl -s --max-time 20 "$at/healthz")" = ok; }
head_of() { printf 'POST /api/jobs HTTP/1.1\r\nHost: localhost\r\n%s\r\nContent-Type: multipart/form-data; boundary=xyz\r\nContent-Length: %d\r\n\r\n' "$token" "$1"; }

# Slow clients: a head that never ends, a body that crawls. Looked at again at the end.
exec 7<>"/dev/tcp/127.0.0.1/$port" && printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ' >&7
(while printf 'x' >&7; do sleep 2; done 2>/dev/null) &
slow=$!
slow_begin=$SECONDS

for round in $(seq "$rounds"); do
    # 50 at once: each answered with a job of its own.
    uploads=()
    for i in $(seq 50); do
        curl -s --max-time 120 -H "$token" -F "file=@$skull" -F "name=$round.$i" "$at/api/jobs" -o "$work/up$i" &
        uploads+=($!)
    done
    wait "${uploads[@]}"
    ids=$(cat "$work"/up* | grep -o '"id":"[0-9a-f]*"' | sort -u | wc -l)
    holds "50 uploads at once gave $ids jobs" test "$ids" -eq 50
    alive '50 uploads at once'
    # Every other one is deleted at once, from many connections.
    deletes=()
    for i in $(seq 1 2 50); do
        curl -s -X DELETE -H "$token" "$at/api/jobs/$(grep -o '"id":"[0-9a-f]*"' "$work/up$i" | head -1 | cut -d'"' -f4)" &
        deletes+=($!)
    done
    wait "${deletes[@]}"
    # Uploads that are cut off, at many places.
    for n in 0 1 10 60 150 400 900 1800; do
        { head_of 3000; printf -- '--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'; head -c 2000 "$skull"; } |
            head -c $((150 + n)) | (exec 5<>"/dev/tcp/127.0.0.1/$port" && cat >&5; exec 5>&-)
    done
    alive 'uploads cut off'
    # Multipart that is none, fields without a name, parts without an end, nested ones.
    body() { # text
        { head_of ${#1}; printf '%s' "$1"; } | send | head -1 | tr -d '\r'
    }
    crlf=$'\r\n'
    for text in '--xyz' '--xyz--' "--xyz${crlf}${crlf}${crlf}" "--xyz${crlf}Content-Disposition: form-data${crlf}${crlf}x${crlf}--xyz--${crlf}" \
        "--xyz${crlf}Content-Disposition: form-data; name=${crlf}${crlf}x${crlf}--xyz--" "$(printf 'A%.0s' $(seq 3000))" \
        "--xyz${crlf}Content-Disposition: form-data; name=\"$(printf 'n%.0s' $(seq 2000))\"${crlf}${crlf}x${crlf}--xyz--${crlf}" \
        "--xyz${crlf}Content-Type: multipart/mixed; boundary=abc${crlf}${crlf}--abc${crlf}Content-Disposition: attachment${crlf}${crlf}x${crlf}--abc--${crlf}--xyz--${crlf}" \
        "--xyz${crlf}Content-Disposition: form-data; name=\"file\"; filename=\"../../../etc/passwd\"${crlf}${crlf}NRRD0004${crlf}--xyz--${crlf}" \
        "--xyz${crlf}Content-Disposition: form-data; name=\"name\"${crlf}${crlf}$(printf 'x%.0s' $(seq 3000))${crlf}--xyz--${crlf}"; do
        said=$(body "$text")
        case $said in
            'HTTP/1.1 400'* | 'HTTP/1.1 201'*) verdict 0 '' ;;
            *) verdict 1 "multipart '${text:0:40}' was answered '$said'" ;;
        esac
    done
    for boundary in '' 'x' "$(printf 'b%.0s' $(seq 300))" '"quoted"' '"open'; do
        printf 'POST /api/jobs HTTP/1.1\r\nHost: localhost\r\n%s\r\nContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: 5\r\n\r\nhello' "$token" "$boundary" |
            send >/dev/null
    done
    alive 'malformed multipart'
    # Huge heads, many heads, nonsense, requests that smuggle.
    { printf 'GET /api/info HTTP/1.1\r\nHost: localhost\r\nX: '; head -c 200000 /dev/zero | tr '\0' 'x'; printf '\r\n\r\n'; } | send >/dev/null
    { printf 'GET /'; head -c 200000 /dev/zero | tr '\0' 'a'; printf ' HTTP/1.1\r\n\r\n'; } | send >/dev/null
    { printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n'; for i in $(seq 3000); do printf 'H%d: v\r\n' "$i"; done; printf '\r\n'; } | send >/dev/null
    head -c 3000 /dev/urandom | send >/dev/null
    printf 'GET /healthz HTTP/9.9\r\n\r\n' | send >/dev/null
    printf 'GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n' | send >/dev/null
    printf 'POST /api/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n' | send >/dev/null
    printf 'POST /api/example HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n' | send >/dev/null
    printf 'POST /api/example HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n' | send >/dev/null
    alive 'huge and broken heads'
    # Wrong tokens and names that climb.
    for wrong in '' 'f' 'f1e2d3c4b5a697887766554433221101' "$(printf 'f%.0s' $(seq 5000))"; do
        answers 401 token /api/info -H "Authorization: Bearer $wrong"
        answers 401 token /api/info -H "Cookie: calvaria=$wrong; calvaria=; ==;;"
    done
    for path in /../../../../etc/passwd /api/jobs/../../../etc/passwd /%2e%2e/%2e%2e/etc/passwd '/..\..\etc\passwd' /api/jobs/%00 /api//jobs; do
        answers 404 'no such page' "$path" -H "$token"
    done
    holds 'no name climbed out' test "$(ls "$state" | tr '\n' ' ')" = 'jobs lock session '
    # Clients that leave while they are served.
    for i in $(seq 20); do
        printf 'GET /api/jobs/%s/events HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n' \
            "$(grep -o '"id":"[0-9a-f]*"' "$work/up2" | head -1 | cut -d'"' -f4)" "$token" | (exec 5<>"/dev/tcp/127.0.0.1/$port" && cat >&5; exec 5>&-)
    done
    alive 'clients that left'
    [ "$round" -eq 1 ] && { tries=0; while [ "$(count jobs_queued)" != 0 ] && [ $tries -lt 600 ]; do sleep 0.2; tries=$((tries + 1)); done; before=$(resident); }
done
last=$(resident)
undocumented=$(count answers_undocumented_total)
holds 'no answer but the documented ones' test "$undocumented" = 0

# Killed in the middle of all that: what was accepted is still there, whole.
kept=$(ls "$state/jobs" | wc -l)
kill -9 "$pid"
wait "$pid" 2>/dev/null
begin
holds "nothing lost by kill -9: $kept jobs" test "$(ls "$state/jobs" | wc -l)" -ge $((kept - 2)) # folders of uploads on their way go
tries=0
while [ "$(($(count jobs_queued) + $(count jobs_running)))" -ne 0 ] && [ $tries -lt 4000 ]; do sleep 0.3; tries=$((tries + 1)); done
holds 'every job that was kept ended well' test "$(count jobs_kept)" -eq "$(ls "$state/jobs" | wc -l)"
holds 'none failed but the four bytes sent as a skull' test "$(cat "$state"/jobs/*/job.json | grep -c '"failed"')" -le "$rounds"

# The slow head was cut (of the first server, which is gone); so is one here, in its twenty seconds.
kill "$slow" 2>/dev/null
exec 7>&- 2>/dev/null
exec 7<>"/dev/tcp/127.0.0.1/$port" && printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ' >&7
tries=0
while [ "$(count connections_reaped_total)" = 0 ] && [ $tries -lt 60 ]; do printf 'x' >&7 2>/dev/null; sleep 0.5; tries=$((tries + 1)); done
holds 'a head that never ends is cut' test "$(count connections_reaped_total)" -ge 1

# A body that crawls gives its place in the queue back; the address that holds 640 heads open shuts nobody out.
exec 8<>"/dev/tcp/127.0.0.1/$port" && { head_of 3000000; printf -- '--xyz\r\n'; } >&8
tries=0
while [ "$(count uploads_running)" != 1 ] && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
holds 'the slow upload has its place' test "$(count uploads_running)" = 1
ulimit -Sn "$(ulimit -Hn)"
heads=()
for i in $(seq 640); do
    exec {handle}<>"/dev/tcp/127.0.0.1/$port" && printf 'GET /healthz HTTP/1.1\r\n' >&"$handle" 2>/dev/null && heads+=("$handle")
done
alive "${#heads[@]} half-open heads"
holds 'most of them were ended' test "$(count connections_reaped_total)" -ge 500
for handle in "${heads[@]}"; do exec {handle}>&-; done
tries=0
while [ "$(count uploads_running)" != 0 ] && [ $tries -lt 60 ]; do printf 'x' >&8 2>/dev/null; sleep 0.5; tries=$((tries + 1)); done
holds 'a body that crawls is cut' test "$(count uploads_running)" = 0
exec 8>&-

# A wrong token is slow and logged; the right one is not.
slow_cs=$({ time -p curl -s -o /dev/null "$at/api/info" -H "${token}x"; } 2>&1 | sed -n 's/^real //p' | tr -d .)
holds "a wrong token takes half a second or more ($slow_cs hundredths)" test "$slow_cs" -ge 50
holds 'it is logged' grep -q 'a wrong token from 127.0.0.1' "$work/server.log"
holds 'it is counted' test "$(count wrong_tokens_total)" -ge 1
after=$(resident)
printf 'memory of the server: %s bytes after the first round, %s after the last, %s once started again and done\n' "$before" "$last" "$after"
holds 'memory is bounded' test "$last" -lt $((before + 32000000))
stop
holds 'a clean end (a leak would not be one)' test "$ended" -eq 0
silent
finish
