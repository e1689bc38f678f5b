#!/bin/bash
# One job of the server as its client sees it, while something may fail on the server: upload, restoration, download, a
# revision, a restart, deletion. Test: tests/faults/test_faults.c
#   serve_job.sh CALVARIA OUT SKULL     the server's folder is OUT/state, what was downloaded OUT/client
#   serve_job.sh CALVARIA OUT           the server starts on what an earlier one left; every job ends and is deleted
# SERVE_JOB_ONCE set: no revision. Exit code 0: all went well. 1: an "error: " was reported, and what the documentation says of it held. 3: it did not hold.
set -u
calvaria=$1 state=$2/state client=$2/client skull=${3:-}
failed=0 pid=
mkdir -p "$client"
trap '[ -n "$pid" ] && kill -9 "$pid"; rm -f "$client/body" "$client/log"' EXIT

bad() { echo "bad: $*"; cat "$client/log"; exit 3; }
report() { echo "error: $*"; failed=1; }

field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$client/body" | sed 's/^null$//' | head -1; }

start() {
    local tries=0
    port=
    "$calvaria" serve --model builtin:mirror --set 'postprocess=[{keep_largest: 1}]' --no-picture --port 0 --threads 1 \
        --state "$state" 2>"$client/log" &
    pid=$!
    while [ -z "$port" ] && kill -0 "$pid" 2>/dev/null && [ $tries -lt 3000 ]; do
        sleep 0.02
        tries=$((tries + 1))
        port=$(sed -n 's|.*open http://.*:\([0-9]*\)/.*|\1|p' "$client/log")
    done
    [ -z "$port" ] || return 0
    wait "$pid"
    local code=$?
    pid=
    [ $code -eq 1 ] && grep -q 'error: ' "$client/log" || bad "the server does not start: exit code $code"
    grep 'error: ' "$client/log"
    exit 1
}

stop() {
    kill "$pid"
    wait "$pid"
    local code=$?
    pid=
    [ $code -eq 0 ] || bad "the server ends with exit code $code"
}

# request CODE PATH CURL...   asked again where the server reports a fault of its own
request() {
    local wanted=$1 path=$2 got tries
    shift 2
    for tries in 1 2 3; do
        got=$(curl -s --max-time 120 -o "$client/body" -w '%{http_code}' "$@" "http://127.0.0.1:$port$path")
        [ "$got" = "$wanted" ] && return 0
        case $got in
            500 | 503 | 507) grep -q '"error"' "$client/body" || bad "$path: $got without a message" ;;
            *) bad "$path: answered $got, expected $wanted: $(head -c 300 "$client/body")" ;;
        esac
        report "$path: $got: $(head -c 300 "$client/body")"
    done
    return 1
}

wait_for_end() { # ID: until it waits and runs no more
    local tries=0
    while request 200 "/api/jobs/$1" && [ $tries -lt 5000 ]; do
        ended=$(field state)
        case $ended in
            done) return 0 ;;
            failed) [ -n "$(field error)" ] || bad 'a job that failed states no error'
                    report "job: $(field error)"
                    return 0 ;;
        esac
        sleep 0.02
        tries=$((tries + 1))
    done
    bad "the job does not end: $(head -c 300 "$client/body")"
}

download() { # ID FOLDER
    local url name
    wait_for_end "$1"
    mkdir -p "$2"
    for url in $(grep -o '"url":"[^"]*"' "$client/body" | cut -d'"' -f4); do
        name=$(echo "${url##*/}" | tr '?=' '__')
        request 200 "$url" || bad "$url: cannot be downloaded"
        mv "$client/body" "$2/$name"
    done
}

delete() { # ID
    local tries=0
    request 204 "/api/jobs/$1" -X DELETE || bad "$1: cannot be deleted"
    while [ -e "$state/jobs/$1" ] && [ $tries -lt 2500 ]; do sleep 0.02; tries=$((tries + 1)); done
    [ ! -e "$state/jobs/$1" ] || bad "a deleted job's folder is left"
}

start
if [ -z "$skull" ]; then
    for id in $(ls "$state/jobs"); do
        wait_for_end "$id"
        delete "$id"
    done
    stop
    exit 0
fi

if ! request 201 /api/jobs -F "file=@$skull"; then
    request 200 /healthz
    stop
    [ -z "$(ls "$state/jobs")" ] || bad 'a refused upload left a folder'
    exit 1
fi
id=$(field id)
: >"$client/accepted" # marks in the record of a power loss
download "$id" "$client/first"
[ "$ended" != done ] || : >"$client/restored"

# A revision: the new results, or the ones of before and why.
if [ -z "${SERVE_JOB_ONCE:-}" ] && [ -e "$client/first/implant.stl" ] && request 202 "/api/jobs/$id/revise" -F clearance_mm=0.5; then
    download "$id" "$client/second"
    request 200 "/api/jobs/$id"
    if [ -n "$(field error)" ]; then
        report "revision: $(field error)"
        for file in "$client"/first/*; do
            cmp -s "$file" "$client/second/$(basename "$file")" || bad "a revision failed and changed $(basename "$file")"
        done
        rm -r "$client/second"
    fi
fi

stop
start
wait_for_end "$id"
delete "$id"
: >"$client/deleted"
stop
[ -z "$(ls "$state/jobs")" ] || bad 'a refused upload left a folder'
exit $failed
