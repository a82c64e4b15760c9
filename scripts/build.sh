# Configure, build, test.

folder_of() { if [ "$1" = dev ]; then echo build; else echo "build-$1"; fi; }

# Ninja configures again by itself when a CMakeLists.txt changed; the first time and a changed preset are ours.
configure() { # preset
  local folder
  folder=$(folder_of "$1")
  if [ ! -e "$folder/build.ninja" ] || [ CMakePresets.json -nt "$folder/build.ninja" ] || [ packages.txt -nt "$folder/build.ninja" ]; then
    say "configuring $folder"
    cmake --preset "$1" --log-level=WARNING >&2
    touch "$folder/build.ninja"
  fi
}

build_target() { # preset, targets
  local jobs preset=$1; shift
  jobs=$(parallel_jobs)
  configure "$preset"
  say "building $(folder_of "$preset") with $jobs jobs"
  cmake --build "$(folder_of "$preset")" --target "$@" -j "$jobs" >&2
}

# What a person runs, without the tests.
build_programs() { build_target dev ktrdr ktrdr-worker; }

build_preset() {
  case "$1" in
    dev | release | asan | tsan) build_target "$1" all ;;
    *) echo "./dev build: there is no preset '$1'; there are dev, release, asan and tsan" >&2; exit 2 ;;
  esac
}

run_tests() { # preset, ctest arguments
  local preset=$1; shift
  ctest --test-dir "$(folder_of "$preset")" --output-on-failure --no-tests=error -j "$(parallel_jobs)" "$@"
}
