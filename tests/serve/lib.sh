# lib.sh - the words of the server's tests, on top of tests/cli/lib.sh.
#   serve ARGUMENT...             starts a server on a free port with $state; sets $pid, $port, $at; its log is $work/server.log
#   stop                          SIGTERM; sets $ended to its exit code
#   answers CODE TEXT PATH CURL...  the request is answered with CODE, and its head or body contains TEXT
#   field NAME                    the value of "NAME" in the last body (a text or a number)
#   state_of ID, wait_for ID STATE, children
#   silent                        no sanitizer reported anything in the server's log
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"
state=$work/state
pid=
trap '[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive

serve() {
    local lines tries=0
    lines=$(grep -c 'open http' "$work/server.log" 2>/dev/null) # before the start: it may be quick
    "$calvaria" serve --port 0 --state "$state" "$@" 2>>"$work/server.log" &
    pid=$!
    port=
    while [ -z "$port" ] && [ $tries -lt 600 ] && kill -0 "$pid" 2>/dev/null; do
        sleep 0.05
        tries=$((tries + 1))
        [ "$(grep -c 'open http' "$work/server.log")" -gt "${lines:-0}" ] || [ "${lines:-0}" -eq 0 ] || continue
        port=$(grep 'open http' "$work/server.log" | tail -1 | sed -n 's|.*open http://.*:\([0-9]*\)/.*|\1|p')
    done
    at=http://127.0.0.1:$port
}

stop() {
    kill "$pid" 2>/dev/null
    wait "$pid"
    ended=$?
    pid=
}

silent() {
    grep -aE -A 30 'Sanitizer|runtime error' "$work/server.log" | head -60
    holds 'the sanitizers are silent' test "$(grep -acE 'Sanitizer|runtime error' "$work/server.log")" -eq 0
}

answers() {
    local code=$1 text=$2 path=$3 got
    shift 3
    got=$(curl -s --path-as-is --max-time 300 -o "$work/body" -D "$work/head" -w '%{http_code}' "$@" "$at$path")
    if [ "$got" = "$code" ] && cat "$work/head" "$work/body" 2>/dev/null | grep -qaF -- "$text"; then
        verdict 0 ''
    else
        verdict 1 "$path $*: answered $got, expected $code with \"$text\""
        head -c 600 "$work/body" 2>/dev/null | sed 's/^/    /'
        echo
    fi
}

field() {
    sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$work/body" | head -1
}

state_of() {
    curl -s --max-time 20 "$at/api/jobs/$1" -o "$work/body"
    field state
}

wait_for() {
    local tries=0
    while [ $tries -lt 3000 ]; do
        [ "$(state_of "$1")" = "$2" ] && return 0
        sleep 0.1
        tries=$((tries + 1))
    done
    cat "$work/body"
    return 1
}

children() { # the processes of the jobs being worked on
    cat /proc/"$pid"/task/*/children 2>/dev/null | tr ' ' '\n' | grep . || true
}

metric() {
    curl -s "$at/metrics" | sed -n "s/^calvaria_$1 //p"
}
