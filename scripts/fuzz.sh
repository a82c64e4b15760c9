# The programs of libs/LIBRARY/fuzz: LIBRARY_TARGET, with seeds in libs/LIBRARY/fuzz/corpus/TARGET. What libFuzzer learns
# stays in build-fuzz/corpus, what it finds in build-fuzz/found: `build-fuzz/bin/PROGRAM FILE` shows it again.

fuzz_programs() {
  local corpus
  for corpus in libs/*/fuzz/corpus/*/; do
    echo "$(basename "$(dirname "$(dirname "$(dirname "$corpus")")")")_$(basename "$corpus")"
  done
}

fuzz_one() { # program, seconds: one line on stdout; on a finding also its report on stderr
  local program=$1 seconds=$2 log=build-fuzz/found/$1.log
  mkdir -p "build-fuzz/corpus/$program" build-fuzz/found
  if "build-fuzz/bin/$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=4096 \
    -artifact_prefix="build-fuzz/found/$program-" "build-fuzz/corpus/$program" \
    "libs/${program%%_*}/fuzz/corpus/${program#*_}" >"$log" 2>&1; then
    echo "fuzz $program $(grep -oE '^Done [0-9]+ runs' "$log" | grep -oE '[0-9]+') runs: nothing found"
  else
    echo "fuzz $program: FOUND something, see $log"
    grep -nE 'CHECK|ERROR|SUMMARY|runtime error|Test unit' "$log" >&2 || tail -n 30 "$log" >&2
    return 1
  fi
}

# Those that are built without the wire types, for which clang needs minutes: what .ci/run can afford.
quick_fuzz_programs() { fuzz_programs | grep -E '^(checkpoints|http)_'; }

run_fuzz() { # program, all or quick, seconds for each
  local wanted=$1 seconds=$2 programs
  programs=$(fuzz_programs)
  if [ "$wanted" = quick ]; then
    programs=$(quick_fuzz_programs)
  elif [ "$wanted" != all ]; then
    grep -qx -- "$wanted" <<<"$programs" || die "there is no fuzz program '$wanted'; there are: all quick $(tr '\n' ' ' <<<"$programs")"
    programs=$wanted
  fi
  # shellcheck disable=SC2086  # one word per program
  build_target fuzz $programs
  say "fuzzing for $seconds s each"
  export -f fuzz_one
  # shellcheck disable=SC2016  # the inner bash expands them
  xargs -P "$(parallel_jobs)" -I{} bash -c 'fuzz_one "$1" "$2"' fuzz {} "$seconds" <<<"$programs"
}
