#!/bin/bash
# The page in a real browser. usage: run.sh CALVARIA BUILD_DIR [TEST.mjs]. Exit 77 (a skip) without a browser, node, npm or a built page.
set -eu
calvaria=$1 build=$2 script=${3:-test_page.mjs}
here=$(cd "$(dirname "$0")" && pwd)
skip() { echo "    skipped: $1"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }

chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[ -n "$chromium" ] || skip "no chromium (scripts/install --browser brings it)"
command -v node >/dev/null && command -v npm >/dev/null || skip "no node or npm"
[ -f "$build/web/index.html" ] || skip "the page was not built"

# Stands in the build folder with the lock file's playwright-core; the tests themselves run from the source tree's copy beside it.
stage=$build/browser/${script%.mjs}
mkdir -p "$stage/tests" "$stage/serve"
cp -r "$here" "$stage/tests/"
cp -r "$here/../../serve/web" "$stage/serve/"
if ! cmp -s "$here/package-lock.json" "$stage/installed-lock.json" 2>/dev/null; then
    (cd "$stage/tests/browser" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1 --fetch-retry-mintimeout=1000 --loglevel=error) >"$stage/npm.log" 2>&1 ||
        skip "playwright-core could not be fetched ($(tail -1 "$stage/npm.log"))"
    cp "$here/package-lock.json" "$stage/installed-lock.json"
fi
exec node "$stage/tests/browser/$script" "$calvaria" "$chromium"
