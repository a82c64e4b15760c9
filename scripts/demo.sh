#!/usr/bin/env bash
# The main job end to end, with nothing but the command line: train a model undisturbed, train it again, kill the
# worker in the middle with SIGKILL, resume, and compare the two finished models. Exit 0 only when they are equal.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

readonly ktrdr=$PWD/build/bin/ktrdr
readonly market_data=$PWD/examples/data
readonly seed=7
readonly kill_after_epoch=6   # between two checkpoints, so that the resumed run has to do a part again
readonly checkpoint_every=4

folder=$(mktemp -d)
readonly folder
export KTRDR_DATA_DIR=$folder/data
server_pid=""

say() { printf '\n%s\n' "$*"; }
show() { printf '  $ %s\n' "$*"; }  # the command as a person would type it
fail() { printf '\nThe demo failed: %s\n' "$*" >&2; show_log; exit 1; }
show_log() { [ ! -s "$folder/serve.log" ] || { echo "The last words of the server:" >&2; tail -n 15 "$folder/serve.log" >&2; }; }
run_ktrdr() { show "ktrdr $*"; "$ktrdr" "$@"; }

# ---- JSON without a parser: answers as one line, a field by its name where that is unambiguous ----

operation() { "$ktrdr" status "$1" --json | tr -d '\n'; }
first_text() { grep -oE "\"$1\": *\"([^\"\\\\]|\\\\.)*\"" | head -n 1 | sed -E 's/^"[^"]*": *"(.*)"$/\1/' || true; }
first_number() { grep -oE "\"$1\": *-?[0-9]+" | head -n 1 | grep -oE '[-0-9]+$' || true; }
status_of() { operation "$1" | first_text status; }
epoch_in() { grep -oE '"context": *\{[^}]*\}' <<<"$1" | first_number epoch || true; }  # of an answer of operation()
worker_pids() { "$ktrdr" workers --json 2>/dev/null | grep -oE '"pid": *[0-9]+' | grep -oE '[0-9]+$' || true; }

# ---- processes ----

# Everything that has the demo's own folder in its command line: the server and the workers it started.
processes_of_the_demo() {
  local entry
  for entry in /proc/[0-9]*; do
    [ "${entry#/proc/}" != "$$" ] || continue
    if grep -qaF "$folder" "$entry/cmdline" 2>/dev/null; then echo "${entry#/proc/}"; fi
  done
}

clean_up() {
  local pids pid tries
  pids=$(worker_pids)
  [ -z "$server_pid" ] || { kill "$server_pid" 2>/dev/null && wait "$server_pid" 2>/dev/null; } || true
  pids="$pids $(processes_of_the_demo)"  # workers outlive their server on purpose
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
  for tries in $(seq 50); do
    [ -n "$(processes_of_the_demo)" ] || break
    sleep 0.1
  done
  for pid in $(processes_of_the_demo); do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() {
  local port
  for port in $(shuf -i 20000-29999 -n 50); do
    (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return 0; }
  done
  fail "no free port between 20000 and 29999"
}

# wait_until SECONDS WHAT COMMAND...: asks again and again; a demo may do what a test may not.
wait_until() {
  local deadline=$((SECONDS + $1)) what=$2; shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || fail "waited in vain for $what"
    sleep 0.05
  done
}

server_answers() { kill -0 "$server_pid" 2>/dev/null || fail "the server ended"; "$ktrdr" ops --json >/dev/null 2>&1; }
worker_is_there() { [ -n "$(worker_pids)" ]; }
is_failed() {
  local status
  status=$(status_of "$1")
  [ "$status" != completed ] || fail "the training was completed before it could be killed"
  [ "$status" = failed ]
}
reached_epoch() {
  local answer
  answer=$(operation "$1")
  case "$(first_text status <<<"$answer")" in
    completed | failed | cancelled) fail "the training ended before it could be killed" ;;
  esac
  reached=$(epoch_in "$answer")
  [ "${reached:-0}" -ge "$2" ]
}

start_training() { # prints the operation's id
  "$ktrdr" train "$strategy" --data "$market_data" --seed "$seed" --checkpoint-every-epochs "$checkpoint_every" --json |
    tr -d '\n' | first_text operation_id
}
show_training() {
  show "ktrdr train ${strategy#"$PWD"/} --data ${market_data#"$PWD"/} --seed $seed --checkpoint-every-epochs $checkpoint_every"
}

hash_of() { operation "$1" | first_text model_sha256; }
model_of() { operation "$1" | first_text model_path; }

# ---- the story ----

[ -x "$ktrdr" ] || fail "there is no $ktrdr: run ./dev build first"
strategy=$(find "$PWD/examples/strategies" -name '*demo*.yaml' 2>/dev/null | sort | head -n 1 || true)
[ -n "$strategy" ] || fail "there is no demo strategy in examples/strategies"

port=$(free_port)
export KTRDR_API_URL=http://127.0.0.1:$port

say "1. Start the control plane with one local worker. It gives a worker up after 2 seconds of silence."
show "ktrdr serve --data-dir $KTRDR_DATA_DIR --port $port --local-workers 1 --lease-seconds 2"
"$ktrdr" serve --data-dir "$KTRDR_DATA_DIR" --port "$port" --local-workers 1 --lease-seconds 2 \
  >"$folder/serve.log" 2>&1 </dev/null &
server_pid=$!
wait_until 20 "the server" server_answers
wait_until 30 "the worker" worker_is_there

say "2. Train a model without any disturbance."
show_training
undisturbed=$(start_training)
[ -n "$undisturbed" ] || fail "the training did not start"
run_ktrdr follow "$undisturbed"
[ "$(status_of "$undisturbed")" = completed ] || fail "$undisturbed is $(status_of "$undisturbed"), not completed"
hash_undisturbed=$(hash_of "$undisturbed")
echo "  model:  $(model_of "$undisturbed")"
echo "  sha256: $hash_undisturbed"

say "3. Start the same training again, and let it come to epoch $kill_after_epoch."
show_training
killed=$(start_training)
[ -n "$killed" ] || fail "the training did not start"
pid=$(worker_pids | head -n 1)
wait_until 60 "epoch $kill_after_epoch" reached_epoch "$killed" "$kill_after_epoch"
kill -9 "$pid" || fail "there is no worker process $pid"

say "4. It is in epoch $reached. Pull the plug: kill the worker, with the signal that nobody can catch."
show "kill -9 $pid"

say "5. The server hears nothing more, waits for one whole lease, and says so."
wait_until 30 "the lease to lapse" is_failed "$killed"
run_ktrdr status "$killed"
echo "  status:  $(status_of "$killed")"
echo "  message: $(operation "$killed" | first_text error_message)"

say "6. Resume. The server has started a new worker by itself; it goes on from the last checkpoint."
run_ktrdr resume "$killed" --follow
[ "$(status_of "$killed")" = completed ] || fail "$killed is $(status_of "$killed"), not completed"
hash_resumed=$(hash_of "$killed")

say "7. Compare the two finished models."
show "sha256sum .../model.safetensors"
sum_undisturbed=$(sha256sum "$(model_of "$undisturbed")/model.safetensors" | cut -d ' ' -f 1)
sum_resumed=$(sha256sum "$(model_of "$killed")/model.safetensors" | cut -d ' ' -f 1)
echo "  undisturbed:        $sum_undisturbed"
echo "  killed and resumed: $sum_resumed"

[ -n "$sum_undisturbed" ] || fail "there is no hash"
[ "$sum_undisturbed" = "$hash_undisturbed" ] || fail "the server said $hash_undisturbed for the first model"
[ "$sum_resumed" = "$hash_resumed" ] || fail "the server said $hash_resumed for the second model"
[ "$sum_undisturbed" = "$sum_resumed" ] || fail "the two hashes differ"
say "The two hashes are equal: the killed training ended in the same bytes."
