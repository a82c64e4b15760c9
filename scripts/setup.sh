# Installs what packages.txt names and this machine lacks.

wanted_packages() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' packages.txt; }

missing_packages() {
  local package installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null)
  for package in $(wanted_packages); do
    grep -qx "installed $package" <<<"$installed" || echo "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "installing packages needs root: run './dev setup' as root once, or install sudo"
  fi
}

# The lock of dpkg is waited for by apt-get itself; the lock of the package lists and a mirror that hiccups are not.
apt_get() { # log file, arguments
  local log=$1 attempt; shift
  for attempt in 1 2 3; do
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
      -o Dpkg::Use-Pty=0 "$@" </dev/null >"$log" 2>&1; then
      return 0
    fi
    [ "$attempt" = 3 ] || { say "apt-get $1 failed, trying again in 10 s"; sleep 10; }
  done
  tail -n 20 "$log" >&2
  die "apt-get $1 failed three times; its last words are above"
}

install_missing_packages() {
  command -v dpkg-query >/dev/null || die "this needs Debian 12 (or something with its packages): there is no dpkg here"
  local missing log
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  log=$(mktemp)
  say "installing $(wc -w <<<"$missing") packages, which takes a few minutes:" $missing
  apt_get "$log" update
  # shellcheck disable=SC2086  # one word per package
  apt_get "$log" install --no-install-recommends $missing
  rm -f "$log"
  say "installed"
}
