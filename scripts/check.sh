# What ./dev check looks at. Every check prints what is wrong and fails; all of them run, so that one run shows all.

format_files() { our_files .h .cc | xargs -r clang-format "$@"; }

check_format() { format_files --dry-run -Werror; }

# ktrdr_library() refuses a dependency that points up, so configuring is the check of the layers. In a folder of its own:
# a build that runs meanwhile keeps its files.
check_layers() { cmake --preset dev -B build-layers --log-level=WARNING >&2; }

# Every public header compiles alone.
check_headers() { build_target dev all_verify_interface_header_sets; }

check_sizes() {
  local file lines wrong=0
  for file in $(our_files .h .cc .sh .cmake CMakeLists.txt); do
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || { echo "$file has $lines lines: does it hold one concept? (600 at most)"; wrong=1; }
  done
  return $wrong
}

# Nothing may depend on the folders of one machine.
check_paths() {
  local found
  found=$({ our_files .h .cc .md .sh .txt .cmake .json .yaml .yml; printf '%s\n' ./dev ./.ci/run; } |
    xargs grep -nE '(^|[^A-Za-z0-9_.}$])/(work|root|home|tmp)/[a-z]' || true)
  [ -z "$found" ] || { echo "$found"; return 1; }
}

# Links from one of our pages to a file that is not there.
check_links() {
  local page link wrong=0
  for page in $(our_files .md); do
    for link in $(grep -oE '\]\([^)[:space:]]+\)' "$page" | sed -e 's/^](//' -e 's/)$//' -e 's/#.*//' | grep -vE '^([a-z]+:|$)' || true); do
      [ -e "$(dirname "$page")/$link" ] || { echo "$page links to $link, which is not there"; wrong=1; }
    done
  done
  return $wrong
}

# Pages that say which code and which test keeps a promise. A citation is a link, a colon, and the words that must be
# in that file: [resume.h](../libs/.../resume.h): `restore_from_checkpoint`, `TrainingResumeContext`.
cited_pages="docs/seed.md docs/acceptance.md docs/supervision.md docs/checkpoints.md"

# Every citation of a page, a line each: file, tab, word.
citations_of() {
  local citation link words word
  while IFS= read -r citation; do
    link=${citation#*](}
    link=${link%%)*}
    words=${citation#*): }
    while IFS= read -r word; do
      printf '%s\t%s\n' "$(dirname "$1")/$link" "$word"
    done < <(grep -oE '`[^`]+`' <<<"$words" | tr -d '`')
  done < <(grep -oE '\]\([^)]+\): `[^`]+`(, `[^`]+`)*' "$1")
}

# "Suite.Name" in a file of tests, "Class::member" (each part), or any other text as it is.
is_in_file() {
  local file=$1 word=$2 part
  if grep -qE '^[A-Z][A-Za-z0-9]*\.[A-Z][A-Za-z0-9_]*$' <<<"$word"; then
    grep -qzE "TEST(_F|_P)?\(\s*${word%.*},\s*${word#*.}\)" "$file"  # -z: a long name stands on a line of its own
  elif grep -qE '^[A-Za-z0-9_]+(::[A-Za-z0-9_]+)*$' <<<"$word"; then
    for part in ${word//::/ }; do grep -qw -- "$part" "$file" || return 1; done
  else
    grep -qF -- "$word" "$file"
  fi
}

# Each row of their tables cites a test, and what it cites is there; or it says that it is not built.
check_citations() {
  local page file word row wrong=0
  for page in $cited_pages; do
    while IFS=$'\t' read -r file word; do
      [ -f "$file" ] && is_in_file "$file" "$word" ||
        { echo "$page cites \`$word\` in $file, which is not there"; wrong=1; }
    done < <(citations_of "$page")
    while IFS= read -r row; do
      echo "$page has a row that cites no test: $row"
      wrong=1
    done < <(grep -E '^\| ' "$page" | grep -vE '`[A-Z][A-Za-z0-9]*\.[A-Z][A-Za-z0-9_]*`|not built|^\| (case|the seed says) \|' || true)
  done
  return $wrong
}

# name | what a failure means
checks=(
  "format  | run ./dev fmt"
  "layers  | the configuration failed, or a library uses one that is above it"
  "headers | a public header does not compile alone"
  "sizes   | a file grew too long"
  "paths   | a path of one machine is in a file"
  "links   | a page links to nothing"
  "citations | a page names code or a test that is not there: correct the page, or bring back what it promises"
)

run_checks() {
  local row name meaning outcome failed=0
  for row in "${checks[@]}"; do
    IFS='|' read -r name meaning <<<"$row"
    name=${name// /}
    set +e  # not "if check": bash forgets -e inside a condition, and a check would go on after its first failure
    (set -e; "check_$name")
    outcome=$?
    set -e
    if [ "$outcome" = 0 ]; then echo "ok    $name"; else echo "FAIL  $name:$meaning"; failed=1; fi
  done
  return $failed
}
