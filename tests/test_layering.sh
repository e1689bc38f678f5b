#!/bin/sh
# test_layering.sh - the law of the house (base <- {nn, data}, data <- shape,
# {nn, shape} <- infer <- {lib, train, serve} <- cli), read from the sources themselves.
#   test_layering.sh          checks the project, after checking on a made-up one that each kind of breach is seen
#   test_layering.sh ROOT     checks the sources below ROOT

# A small project with one breach of each kind: every line marked BREACH must be told, no other.
prove() {
    root=$(mktemp -d) || exit 1
    mkdir -p "$root/base" "$root/nn/engine/kernels" "$root/data/volume" "$root/infer" "$root/cli"
    printf '%s\n' '#include "nn/tensor.h" // BREACH' 'static const char *t = "exit(1) atoi(x)"; /* exit(2) */' '/* printf("x")' ' * exit(3) */' \
        'static int f(int a, int b, int c, int d, int e, int f, int g, int h, int i)' '{ // BREACH' '}' > "$root/base/a.c"
    printf '%s\n' '#include "data/volume/volume.h" // BREACH' '#include "tensor.h" // BREACH' '#include "base/error.h"' \
        '#include <oneapi/dnnl/dnnl.h> // BREACH' '#include <immintrin.h> // BREACH' > "$root/nn/layer.c"
    printf '%s\n' '#include <oneapi/dnnl/dnnl.h>' 'static void f(int a, void (*g)(int, int, int, int), int b[8])' '{' \
        '    exit(1); // BREACH' '    x = atoi(y); // BREACH' '    printf("x"); // BREACH' '    fprintf(stderr, "x"); // BREACH' \
        '    p = malloc(3); // BREACH' '    x->exit(1); snprintf(a, b, "x"); my_exit(1); fprintf(file, "x");' '}' > "$root/nn/engine/conv.c"
    printf '%s\n' '#include "infer/window.h" // BREACH' > "$root/nn/engine/kernels/a.inc"
    printf '%120s\n%111s // BREACH\n' '' '' > "$root/infer/wide.c"
    printf '%s\n' '#include "data/volume/nrrd.h"' '#include "nn/tensor.h" // BREACH' > "$root/data/volume/volume.c"
    { printf '%s\n' 'int main(void)' '{ // BREACH'; yes '    x();' | head -79; echo '}'; } > "$root/cli/main.c"
    { yes '' | head -800; echo '// BREACH'; } > "$root/infer/long.c"
    printf '%s\n' '#include "infer/window.h"' 'int main(void)' '{' '    printf("x"); exit(0);' '}' > "$root/infer/main.c"
    told=$("$0" "$root" 2> /dev/null | cut -d: -f1,2 | sort)
    wanted=$(cd "$root" && grep -rn BREACH . | sed 's|^\./||' | cut -d: -f1,2 | sort)
    rm -rf "$root"
    [ "$told" = "$wanted" ] && return
    printf 'this test does not see what it should; told:\n%s\nwanted:\n%s\n' "$told" "$wanted" >&2
    exit 1
}
[ $# -gt 0 ] || prove

cd "${1:-$(dirname "$0")/..}" || exit 1
broken=0
list=$(mktemp) || exit 1
trap 'rm -f "$list"' EXIT

# Everything printed below is a breach: "file:line: what".
breach() {
    while IFS= read -r line; do
        printf '%s\n' "$line"
        broken=$((broken + 1))
    done < "$list"
}

sources() { # sources ROOM...
    for room in "$@"; do
        [ -d "$room" ] && find "$room" -name '*.[ch]' -o -name '*.inc' | sort
    done
}

# 1. Includes. An include in quotes names its room; a room includes itself and what lies under it.
under() {
    case $1 in
    base) echo "base" ;;
    nn) echo "base nn" ;;
    data) echo "base data" ;;
    shape) echo "base data shape" ;;
    infer) echo "base nn data shape infer" ;;
    lib) echo "base nn data shape infer lib" ;;
    train) echo "base nn data shape infer train" ;;
    serve) echo "base nn data shape infer serve" ;;
    cli) echo "base nn data shape infer train serve cli" ;;
    bench) echo "base nn data shape infer train serve bench" ;;
    tests) echo "base nn data shape infer lib train serve cli tests" ;;
    esac
}
for room in base nn data shape infer lib train serve cli bench tests; do
    files=$(sources $room)
    [ -n "$files" ] || continue
    # shellcheck disable=SC2086
    awk -v allowed="$(under $room)" -v room="$room" '
        BEGIN { n = split(allowed, names, " "); for (i = 1; i <= n; i++) ok[names[i]] = 1 }
        /^[ \t]*#[ \t]*include[ \t]*"/ {
            split($0, part, "\"")
            slash = index(part[2], "/")
            if (!slash && room != "tests")
                print FILENAME ":" FNR ": include \"" part[2] "\" names no room (write room/file.h)"
            else if (slash && !(substr(part[2], 1, slash - 1) in ok))
                print FILENAME ":" FNR ": " room " may not include \"" part[2] "\" (only " allowed ")"
        }' $files
done > "$list"
breach

# 2. Files of up to 800 lines, lines of up to 120 columns, functions of up to 80 lines, parameter lists of up to 8.
for file in $(sources base nn data shape infer lib train serve cli bench tests); do
    awk '
        length($0) > 120 { print FILENAME ":" FNR ": a line of " length($0) " columns (at most 120)" }
        /^[A-Za-z_]/ { head = "" }
        { head = head " " $0 }
        /^\{/ {
            start = FNR
            commas = head
            sub(/^[^(]*\(/, "", commas)
            gsub(/\([^()]*\)/, "", commas)
            n = gsub(/,/, ",", commas) + 1
            library = head ~ /enum MHD_Result [a-z_]+\(/ # a callback of the HTTP library has the parameters it has
            if (head ~ /\(/ && head !~ /=/ && n > 8 && !library)
                print FILENAME ":" FNR ": " n " parameters (at most 8)"
        }
        /^\}/ && start {
            if (FNR - start + 1 > 80)
                print FILENAME ":" start ": a function of " FNR - start + 1 " lines (at most 80)"
            start = 0
        }
        /^(\}|$)/ { head = "" }
        END { if (FNR > 800) print FILENAME ":" FNR ": " FNR " lines (at most 800)" }' "$file"
done > "$list"
breach

# 3. Words that have no place in the rooms (comments and texts in quotes do not count). Patterns end before "(".
forbid() { # forbid WHY PATTERN FILE...
    why=$1 pattern=$2
    shift 2
    [ $# -gt 0 ] || return
    awk -v why="$why" -v pattern="(^|[^A-Za-z0-9_.>])(${pattern})[ \t]*\\\\(" '
        FNR == 1 { comment = 0 }
        {
            line = $0
            gsub(/\\\\/, "", line); gsub(/\\"/, "", line); gsub(/"[^"]*"/, "\"\"", line)
            gsub(/\/\*([^*]|\*[^\/])*\*\//, " ", line); sub(/\/\/.*/, "", line)
            if (comment) { if (line !~ /\*\//) next; sub(/.*\*\//, "", line); comment = 0 }
            if (line ~ /\/\*/) { sub(/\/\*.*/, "", line); comment = 1 }
            if (line ~ pattern) print FILENAME ":" FNR ": " why
        }' "$@"
}
library=$(sources base nn data shape infer lib train serve | grep -v '^infer/main\.c$')
everything=$(sources base nn data shape infer lib train serve cli bench tests)
# shellcheck disable=SC2086
{
    forbid "unchecked or unbounded call (see CONTRIBUTING.md)" 'atoi|atol|atoll|atof|strcpy|strcat|sprintf|vsprintf|strtok|gets' $everything
    forbid "a library prints to stdout or ends the program" 'printf|puts|putchar|vprintf|perror|exit|_exit|quick_exit' $library
    forbid "memory comes from base/memory.h" 'malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup' \
        $(printf '%s\n' $library | grep -v '^base/memory\.c$')
    # stderr belongs to the log, stdout to the programs: as an argument they only show up as names.
    grep -nE '[^A-Za-z0-9_"](stdout|stderr)[^A-Za-z0-9_"]' $(printf '%s\n' $library | grep -v '^base/log\.c$') |
        grep -vE '^[^:]*:[0-9]*:[ \t]*(/\*|\*|//)|/\*.*(stdout|stderr).*\*/' | sed 's/$/   <- the log and the programs alone know stdout and stderr/'
    grep -nE '#[ \t]*include.*dnnl' $(printf '%s\n' $everything | grep -vE '^(nn/engine/.*|bench/.*)$') /dev/null |
        sed 's/$/   <- only the engine files know oneDNN/'
    grep -nE '#[ \t]*include[ \t]*<(immintrin|x86intrin|arm_neon|cpuid|omp)\.h>|__builtin_cpu_|__AVX|__SSE' \
        $(sources nn shape infer lib train serve cli | grep -vE '^nn/engine/') /dev/null | sed 's/$/   <- only the engine files know the processor/'
} > "$list"
breach

if [ "$broken" -gt 0 ]; then
    echo "$broken breaches of the law" >&2
    exit 1
fi
echo "the law holds: $(printf '%s\n' "$everything" | wc -l) files"
