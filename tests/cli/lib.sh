# lib.sh - the words of the command-line tests.
#   expect CODE TEXT COMMAND...   runs it; its exit code must be CODE and its stderr contain TEXT
#   absent PATH...                none of these exist
# Ends with `finish`: prints "N passed, N failed, N skipped".
set -u
passed=0
failed=0
skipped=0
work=$(mktemp -d /tmp/calvaria_cli_XXXXXX)
trap 'rm -rf "$work"' EXIT

verdict() { # ok? what
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$2"
    fi
}

expect() {
    local code=$1 text=$2 got=0
    shift 2
    "$@" >"$work/stdout" 2>"$work/stderr" </dev/null || got=$?
    if [ "$got" -eq "$code" ] && grep -qF -- "$text" "$work/stderr" "$work/stdout"; then
        verdict 0 ''
    else
        verdict 1 "$*"
        printf '  exit %d, expected %d with "%s"; stderr was:\n' "$got" "$code" "$text"
        sed 's/^/    /' "$work/stderr" | tail -8
    fi
}

ok() { # the command succeeds
    if "$@" >"$work/stdout" 2>"$work/stderr" </dev/null; then
        verdict 0 ''
    else
        verdict 1 "$*"
        sed 's/^/    /' "$work/stderr" | tail -8
    fi
}

holds() { # what, then a test's words
    local what=$1
    shift
    if "$@"; then verdict 0 ''; else verdict 1 "$what"; fi
}

absent() {
    local path
    for path in "$@"; do
        if [ -e "$path" ]; then verdict 1 "exists but should not: $path"; else verdict 0 ''; fi
    done
}

finish() {
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}
