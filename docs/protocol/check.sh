#!/usr/bin/env bash
# Model-checks the protocol: with every guard on there is no error, and each guard that is turned off is missed.
# Needs spin and gcc; fails where there is no spin. `check.sh --deep` also runs the largest bounds.
set -euo pipefail

for tool in spin gcc; do
  command -v "$tool" >/dev/null || { echo "check.sh needs $tool: apt-get install $tool" >&2; exit 1; }
done
model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/operation.pml
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
effort=-O0  # most searches end at once, and the compiler would take longer than they do

# bounds | what they are good for; the code must be without error within each
holds=(
  "-DMAXATT=2 -DMAXP=2 -DFAULTS=2"
  "-DMAXATT=2 -DMAXP=3 -DFAULTS=1"
  "-DMAXATT=3 -DMAXP=2 -DFAULTS=1"
  "-DMAXATT=3 -DMAXP=3 -DFAULTS=1"
)
[ "${1:-}" != --deep ] || holds+=("-DMAXATT=2 -DMAXP=3 -DFAULTS=2")

# guards turned off together | bounds | what must be found: an assertion, or a cycle that breaks this liveness property
small="-DMAXATT=2 -DMAXP=2 -DFAULTS=2"
mutants=(
  "RESUME_CAS        | -DMAXATT=3 -DMAXP=2 -DFAULTS=1 | safety"
  "RESUME_CLEARS     | -DMAXATT=2 -DMAXP=1 -DFAULTS=1 | trained"
  "CLAIM_CAS         | $small | safety"
  "NEW_ID            | $small | safety"
  "FENCE_ATTEMPT     | $small | safety"
  "FENCE_RUNNING     | $small | safety"
  "PARENT SEQUENCE   | $small | safety"
  "REPEAT            | $small | safety"
  "OBJECT_NAMES      | $small | safety"
  "POINTER           | $small | safety"
  "ORPHAN            | -DMAXATT=2 -DMAXP=1 -DFAULTS=1 | trained"
  "ORPHAN            | -DMAXATT=2 -DMAXP=1 -DFAULTS=2 | stops"
  "ORPHAN_CAS        | $small | safety"
  "ORPHAN_CANCEL     | $small | safety"
  "RESTART_CANCEL    | $small | safety"
  "RESTART_ATTEMPT   | $small | safety"
  "CANCEL_CAS        | $small | safety"
  "REWIND            | $small | safety"
  "REWIND_CAS        | $small | safety"
  "KEEP_TWO          | $small | safety"
  "ROWS_FIRST        | $small | safety"
  "SWEEP_SPARES      | $small | safety"
  "SWEEP_LISTS       | $small | safety"
  "PUBLISH_FIRST     | $small | safety"
  "MODEL_NAMES       | $small | safety"
  "KEEP_SENDING      | -DMAXATT=2 -DMAXP=3 -DFAULTS=1 | safety"
  "KEEP_REFUSED      | $small | safety"
)

# A second lock on a door that another guard holds shut: alone, each can go (README.md says why they stay).
second_locks=(FENCE_OWNER PARENT SEQUENCE)

# safety | name of a liveness property, definitions...: leaves spin's report in $scratch/report.
explore() {
  local what=$1; shift
  local build=(-DSAFETY -DNOCLAIM) search=(-m1000000 -w22)
  [ "$what" = safety ] || { build=(-DNFAIR=4); search+=(-a -f -N "$what"); }
  (cd "$scratch" && rm -f pan* ./*.trail && spin -a "$@" "$model" >translated &&
    gcc "$effort" -w -DCOLLAPSE -DMEMLIM=3500 "${build[@]}" -o pan pan.c && { ./pan "${search[@]}" >report 2>&1 || true; })
}

# An exhausted search is one that had room for every state; anything else proves nothing.
found_nothing() {
  grep -q 'errors: 0' "$scratch/report" &&
    ! grep -qE 'Search not completed|max search depth too small|error:' "$scratch/report"
}
found_what_it_must() {
  local finding='assertion violated'
  [ "$1" = safety ] || finding='acceptance cycle'
  grep -q "$finding" "$scratch/report" && ! grep -q 'invalid array index' "$scratch/report"
}
states() { awk '/states, stored/ {print $1}' "$scratch/report"; }

row() { printf '%-32s | %-9s | %s\n' "$@"; }
wrong() { failures=$((failures + 1)); tail -n 30 "$scratch/report" >&2; }

must_hold() { # title, what, definitions...
  local title=$1 what=$2 began=$SECONDS; shift 2
  explore "$what" "$@"
  if found_nothing; then row "$title" "$what" "holds: $(states) states, $((SECONDS - began)) s"
  else row "$title" "$what" "FAILS"; wrong; fi
}

must_be_missed() { # guards, bounds, what
  local guard definitions=()
  for guard in $1; do definitions+=("-D$guard=0"); done
  # shellcheck disable=SC2086  # one word per definition
  explore "$3" "${definitions[@]}" $2
  if found_what_it_must "$3"; then row "$1" "$3" "killed after $(states) states"
  else row "$1" "$3" "SURVIVES"; wrong; fi
}

trimmed() { sed -e 's/^ *//' -e 's/ *$//' <<<"$1"; }

row "every guard on, within" "property" "result"
# shellcheck disable=SC2086
effort=-O2
for bounds in "${holds[@]}"; do must_hold "${bounds//-D/}" safety $bounds; done
effort=-O0
must_hold "MAXATT=2 MAXP=2 FAULTS=1" trained -DMAXATT=2 -DMAXP=2 -DFAULTS=1
must_hold "MAXATT=2 MAXP=2 FAULTS=1" stops -DMAXATT=2 -DMAXP=2 -DFAULTS=1
echo
row "guard that is off" "property" "result"
for mutant in "${mutants[@]}"; do
  IFS='|' read -r guards bounds what <<<"$mutant"
  must_be_missed "$(trimmed "$guards")" "$(trimmed "$bounds")" "$(trimmed "$what")"
done
echo
row "second lock that is off" "property" "result"
# shellcheck disable=SC2086
for guard in "${second_locks[@]}"; do must_hold "$guard" safety "-D$guard=0" -DMAXATT=2 -DMAXP=2 -DFAULTS=1; done

echo
if [ "$failures" = 0 ]; then echo "ok: the protocol holds, and every mutant is killed ($SECONDS s)"
else echo "FAIL: $failures of the rows above are not as they must be"; exit 1; fi
