#!/bin/sh
# Builds the fuzz targets with plain cargo on stable Rust and runs each of them: fuzz/run.sh [SECONDS] [TARGET...]
#
# These are the flags that `cargo fuzz build --sanitizer none` passes: coverage for libFuzzer and no sanitizer, which
# would need nightly and has nothing to find in a crate without unsafe code. `cargo fuzz run TARGET` works as well.
set -eu
cd "$(dirname "$0")"
command -v cargo >/dev/null || { echo 'mentor-rs: no Rust toolchain (cargo) found; install Rust 1.95 or newer with rustup' >&2; exit 1; }
command -v c++ >/dev/null || { echo 'mentor-rs: no C++ compiler (c++) found, which libFuzzer needs; install g++ or clang' >&2; exit 1; }

seconds=${1:-60}
case $seconds in *[!0-9]* | '') echo "mentor-rs: seconds per target must be a whole number, got '$seconds'" >&2; exit 1 ;; esac
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\([a-z]*\)"$/\1/p' Cargo.toml)

host=$(rustc -vV | sed -n 's/^host: //p')
coverage='-Cpasses=sancov-module'
for flag in level=4 inline-8bit-counters pc-table trace-compares; do
    coverage="$coverage -Cllvm-args=-sanitizer-coverage-$flag"
done
# With --target the flags apply to the crates alone, not to the build scripts, which run without libFuzzer.
RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 $coverage" cargo build --quiet --release --target "$host" --target-dir target

"${PYTHON:-python3}" seeds.py
failed=0
for target; do
    mkdir -p "corpus/$target" "artifacts/$target"
    log=artifacts/$target/log.txt
    # Inputs of 4 kB take microseconds. 25 s are a hang even beside other jobs.
    if "target/$host/release/$target" "corpus/$target" -dict=words.dict -artifact_prefix="artifacts/$target/" \
        -max_total_time="$seconds" -max_len=4096 -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1; then
        awk -v target="$target" '/executed_units/ { runs = $2 } /exec_per_sec/ { rate = $2 }
            END { printf "%-10s %12d executions, %8d per second\n", target, runs, rate }' "$log"
    else
        failed=1
        echo "$target: an input was found that breaks it; see fuzz/$log and the file that it names" >&2
        grep -m 1 -A 3 -E 'panicked|ERROR' "$log" >&2 || tail -5 "$log" >&2
    fi
done
exit $failed
