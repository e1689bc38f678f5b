#!/bin/sh
# test_install.sh BUILD SOURCE CC - the installed library: what it exports, what it is linked with, and the page's
# program, compiled by pkg-config (shared, static) and by CMake, run where the build folder is not.
set -eu
build=$1 source=$2 cc=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "$*"; failed=1; }

for part in library dev infer; do
    cmake --install "$build" --component $part --prefix "$work/usr" > "$work/log" || { cat "$work/log"; exit 1; }
done
lib=$(dirname "$(find "$work/usr" -name 'libcalvaria.so.1')")

# The exported names are the committed ones, with their version; nothing else is global in the static library.
nm -D --defined-only "$lib/libcalvaria.so" | awk '{ print $NF }' | sed 's/^CALVARIA_1.*/CALVARIA_1/' | sort > "$work/symbols"
diff "$source/lib/calvaria.symbols" "$work/symbols" || fail "the exported names differ from lib/calvaria.symbols"
nm -g --defined-only "$lib/libcalvaria.a" | awk 'NF == 3 { print $3 }' | sort > "$work/static"
grep -v '^calvaria_' "$work/static" | grep -v '^__odr_asan\|^__asan' > "$work/stray" || true
[ ! -s "$work/stray" ] || fail "names of the static library that are not calvaria_: $(head -5 "$work/stray" | tr '\n' ' ')"
objdump -p "$lib/libcalvaria.so" | grep -q 'SONAME *libcalvaria.so.1$' || fail "no SONAME libcalvaria.so.1"

# Nothing that ends, prints from or changes a process is even linked; readers of files stay outside.
nm -D --undefined-only "$lib/libcalvaria.so" | awk '{ print $NF }' | sed 's/@.*//' > "$work/undefined"
for name in exit _exit abort quick_exit atexit setlocale puts printf sigaction perror; do
    ! grep -qx "$name" "$work/undefined" || fail "libcalvaria.so calls $name"
done
! objdump -p "$lib/libcalvaria.so" | grep -E 'NEEDED.*(nifti|znz|teem|mpi|microhttpd|protobuf)' ||
    fail "libcalvaria.so needs what it does not use"

# The page's program: the first C listing of docs/library.md.
awk '/^```c$/ { on = 1; next } /^```$/ { if (on) exit } on' "$source/docs/library.md" > "$work/example.c"
[ -s "$work/example.c" ] || { echo "docs/library.md has no C listing"; exit 1; }
export PKG_CONFIG_PATH="$lib/pkgconfig"
run() { # run WHAT PROGRAM
    if (cd "$work" && OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive LD_LIBRARY_PATH="$lib" "$2" > "$1.txt" 2> "$1.err"); then
        grep -q '^implant: [1-9][0-9.]* ml' "$work/$1.txt" || { fail "$1: no implant"; cat "$work/$1.txt"; }
        [ ! -s "$work/$1.err" ] || { fail "$1: something was printed"; cat "$work/$1.err"; }
    else
        fail "$1: failed"
        cat "$work/$1.txt" "$work/$1.err"
    fi
}
sanitize=$(sed -n 's/^CALVARIA_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt" | grep -v '^OFF$' || true)
flags="-std=c11 -Wall -Wextra -Wpedantic -Werror ${sanitize:+-fsanitize=$sanitize}"
# shellcheck disable=SC2046,SC2086
$cc $flags "$work/example.c" -o "$work/shared" $(pkg-config --cflags --libs calvaria) && run shared "$work/shared"
# shellcheck disable=SC2046,SC2086
$cc $flags "$work/example.c" -o "$work/static" $(pkg-config --cflags calvaria) -Wl,-Bstatic -L"$lib" -lcalvaria -Wl,-Bdynamic \
    $(pkg-config --static --libs-only-other --libs-only-L --libs calvaria | sed 's/-lcalvaria//') && run static "$work/static"
if ldd "$work/static" | grep -q libcalvaria; then fail "static: linked with the shared library"; fi
cat > "$work/CMakeLists.txt" << 'END'
cmake_minimum_required(VERSION 3.25)
project(example C)
set(CMAKE_C_STANDARD 11)
find_package(calvaria 0.1 REQUIRED)
add_executable(by_cmake example.c)
target_link_libraries(by_cmake PRIVATE calvaria::calvaria)
add_executable(by_cmake_static example.c)
target_link_libraries(by_cmake_static PRIVATE calvaria::static)
END
cmake -S "$work" -B "$work/b" -D CMAKE_PREFIX_PATH="$work/usr" -D CMAKE_C_COMPILER="$cc" \
    -D CMAKE_C_FLAGS="${sanitize:+-fsanitize=$sanitize}" > "$work/log" 2>&1 && cmake --build "$work/b" >> "$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
run cmake "$work/b/by_cmake"
run cmake_static "$work/b/by_cmake_static"
for what in static cmake cmake_static; do
    cmp -s "$work/shared.txt" "$work/$what.txt" || fail "$what: another result than the shared library's"
done

# The manual pages: of the library, and of the programs with every option of their help.
man=$work/usr/share/man
for function in $(sed -n 's/^\(calvaria_[a-z_]*\)@@.*/\1/p' "$source/lib/calvaria.symbols"); do
    grep -q "$function" "$man/man3/calvaria.3" || fail "calvaria.3 does not name $function"
done
for option in $("$build/calvaria-infer" --help | sed -n 's/^  --\([a-z0-9-]*\).*/\1/p'); do
    sed 's/\\//g' "$man/man1/calvaria-infer.1" | grep -q -- "^\.B --$option" || fail "calvaria-infer.1 does not name --$option"
done
if command -v man > /dev/null; then
    for page in "$man"/man?/*; do
        [ -z "$(LC_ALL=C man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 > /dev/null)" ] || fail "$page: $(LC_ALL=C man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 > /dev/null | head -3)"
    done
fi

# C++ reads the header; the page names every option and function.
for compiler in c++ g++ clang++; do
    command -v $compiler > /dev/null || continue
    printf '#include <calvaria.h>\nint main() { return calvaria_version() == nullptr; }\n' > "$work/a.cc"
    $compiler -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$work/usr/include" "$work/a.cc" || fail "$compiler: calvaria.h"
    break
done
for function in $(sed -n 's/^\(calvaria_[a-z_]*\)@@.*/\1/p' "$source/lib/calvaria.symbols"); do
    grep -q "$function" "$source/docs/library.md" || fail "docs/library.md does not name $function"
done
for option in $(sed -n 's/.*{.key = "\([a-z_]\{1,\}\)".*/\1/p' "$source/lib/options.c" | tr _ -); do
    grep -q "\`$option" "$source/docs/library.md" || fail "docs/library.md does not name the option $option"
done
exit $failed
