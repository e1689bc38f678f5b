#!/bin/bash
# One job of the server as its client sees it, while something may fail on the server: upload, restoration, download, a
# revision, a restart, deletion. Test: tests/faults/test_faults.c
#   serve_job.sh CALVARIA OUT SKULL     the server's folder is OUT/state, what was downloaded OUT/client
#   serve_job.sh CALVARIA OUT           the server starts on what an earlier one left; every job ends and is deleted
# SERVE_JOB_ONCE set: no revision. Exit code 0: all went well. 1: an "error: " was reported, and what the documentation says of it held. 3: it did not hold.
set -u
trap '' PIPE # a connection that the server closed is an answer that is missing
calvaria=$1 state=$2/state client=$2/client skull=${3:-}
failed=0 pid=
mkdir -p "$client"
trap '[ -n "$pid" ] && kill -9 "$pid"; rm -f "$client/log"' EXIT

bad() { echo "bad: $*"; cat "$client/log"; exit 3; }
report() { echo "error: $*"; failed=1; }

# A hundred processes of the client would take most of a job's time: what is asked often is asked by the shell itself.
exec 9<> <(:)
pause() { read -r -t 0.02 -u 9; }

body=
field() { # NAME: of the last body
    [[ $body =~ \"$1\":\"?([^\",}]*) ]] && [ "${BASH_REMATCH[1]}" != null ] && echo "${BASH_REMATCH[1]}"
}

start() {
    local tries=0 text
    port=
    : >"$client/log" # the port of an earlier one is in it
    "$calvaria" serve --model builtin:mirror --set 'postprocess=[{keep_largest: 1}]' --no-picture --port 0 --threads 1 \
        --state "$state" 2>"$client/log" &
    pid=$!
    while [ -z "$port" ] && kill -0 "$pid" 2>/dev/null && [ $tries -lt 3000 ]; do
        pause
        tries=$((tries + 1))
        read -r -d '' text <"$client/log"
        [[ $text =~ open\ http://[^/]*:([0-9]+)/ ]] && port=${BASH_REMATCH[1]}
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

# Sets code and body. METHOD PATH: by the shell. PATH CURL...: what has a body of its own.
ask() {
    local answer=
    if [[ $1 != /* ]]; then
        exec 8<>"/dev/tcp/127.0.0.1/$port" || bad "$*: no connection"
        printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$1" "$2" >&8
        answer=$(cat <&8)
        exec 8>&-
    else
        answer=$(curl -si --max-time 120 "${@:2}" "http://127.0.0.1:$port$1")
    fi
    code=${answer:9:3}
    body=${answer#*$'\r\n\r\n'}
}

refused() { # WHAT WANTED: reports code and body, which must be the server's own fault and say which
    case $code in
        500 | 503 | 507) [[ $body == *'"error"'* ]] || bad "$1: $code without a message" ;;
        *) bad "$1: answered $code, expected $2: ${body:0:300}" ;;
    esac
    report "$1: $code: ${body:0:300}"
}

# request CODE METHOD PATH, or CODE PATH CURL...   asked again where the server reports a fault of its own
request() {
    local tries
    for tries in 1 2 3; do
        ask "${@:2}"
        [ "$code" != "$1" ] || return 0
        refused "${*:2:2}" "$1"
    done
    return 1
}

wait_for_end() { # ID: until it waits and runs no more
    local tries=0
    while request 200 GET "/api/jobs/$1" && [ $tries -lt 5000 ]; do
        ended=$(field state)
        case $ended in
            done) return 0 ;;
            failed) [ -n "$(field error)" ] || bad 'a job that failed states no error'
                    report "job: $(field error)"
                    return 0 ;;
        esac
        pause
        tries=$((tries + 1))
    done
    bad "the job does not end: ${body:0:300}"
}

download() { # ID FOLDER: all its files by one process, then those that failed
    local rest urls=() left list codes i tries
    wait_for_end "$1"
    mkdir -p "$2"
    rest=$body
    while [[ $rest =~ '"url":"'([^\"]*) ]]; do
        urls+=("${BASH_REMATCH[1]}")
        rest=${rest#*"${BASH_REMATCH[0]}"}
    done

    for tries in 1 2 3; do
        left=() list=
        for url in "${urls[@]}"; do
            name=${url##*/}
            list+="url=http://127.0.0.1:$port$url"$'\n'"output=$2/${name//[?=]/_}"$'\n'
        done
        mapfile -t codes < <(curl -s --max-time 120 -w '%{http_code}\n' -K - <<<"$list")
        for i in "${!urls[@]}"; do
            code=${codes[i]:-none} name=${urls[i]##*/}
            [ "$code" != 200 ] || continue
            body=$(cat "$2/${name//[?=]/_}")
            refused "${urls[i]}" 200
            left+=("${urls[i]}")
        done
        urls=("${left[@]}")
        [ ${#urls[@]} -gt 0 ] || return 0
    done
    bad "${urls[0]}: cannot be downloaded"
}

delete() { # ID
    local tries=0
    request 204 DELETE "/api/jobs/$1" || bad "$1: cannot be deleted"
    while [ -e "$state/jobs/$1" ] && [ $tries -lt 2500 ]; do pause; tries=$((tries + 1)); done
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
    request 200 GET /healthz
    stop
    [ -z "$(ls "$state/jobs")" ] || bad 'a refused upload left a folder'
    exit 1
fi
id=$(field id)
: >"$client/accepted" # marks in the record of a power loss
download "$id" "$client/first"
[ "$ended" != done ] || : >"$client/restored"

# A revision: the new results, or the ones of before and why.
if [ -z "${SERVE_JOB_ONCE:-}" ] && [ "$ended" = done ] && [ -e "$client/first/implant.stl" ] && request 202 "/api/jobs/$id/revise" -F clearance_mm=0.5; then
    download "$id" "$client/second"
    request 200 GET "/api/jobs/$id"
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
