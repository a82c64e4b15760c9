# Benches are programs build/bin/bench_NAME and scripts bench/NAME.sh. Each prints lines
#   figure NAME VALUE BOUND ok|short
# and whatever else helps a reader on stderr.

bench_programs() {
  find build/bin -maxdepth 1 -name 'bench_*' -type f -perm -u+x 2>/dev/null | sort
  find bench -maxdepth 1 -name '*.sh' -type f -perm -u+x 2>/dev/null | sort
}

bench_name() { local name; name=$(basename "$1" .sh); echo "${name#bench_}"; }

run_benches() { # name, or nothing for all
  local program found=0 short=0 figures
  for program in $(bench_programs); do
    [ -z "$1" ] || [ "$(bench_name "$program")" = "$1" ] || continue
    found=1
    say "bench $(bench_name "$program")"
    figures=$("$program") || { say "$program failed"; short=1; }
    echo "$figures"
    ! grep -qE '^figure .* short$' <<<"$figures" || short=1
  done
  [ "$found" = 1 ] || die "there is no bench '${1:-}'; there are: $(for program in $(bench_programs); do bench_name "$program"; done | tr '\n' ' ')"
  return $short
}
