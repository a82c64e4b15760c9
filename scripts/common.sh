# Words and numbers that the other scripts share.

say() { echo "== $*" >&2; }
die() { echo "./dev: $*" >&2; exit 1; }

# How many compilers may run at once: one per core, and 1.5 GiB of memory for each.
parallel_jobs() {
  local cores memory_kib jobs
  cores=$(nproc)
  memory_kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
  jobs=$((memory_kib / (3 * 1024 * 1024 / 2)))
  [ "$jobs" -lt "$cores" ] || jobs=$cores
  [ "$jobs" -ge 1 ] || jobs=1
  echo "$jobs"
}

# Our own files by the end of their names. Not through git: a copy without .git builds and checks too.
our_files() { # .h .cc ...
  local patterns=() ending
  for ending in "$@"; do patterns+=(-o -name "*$ending"); done
  find . \( -path './.git' -o -path './build*' -o -name node_modules \) -prune -o -type f \( "${patterns[@]:1}" \) -print | sort
}
