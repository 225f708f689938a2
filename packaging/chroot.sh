# Sourced: a Debian of its own in a folder, for what must not touch this machine.
#
# chroot_make SUITE FOLDER [PACKAGE...]: made with debootstrap from the mirror that apt uses here; kept for the next time.
# chroot_run FOLDER COMMAND...: runs in it, with /proc and /dev, in a network namespace with loopback alone.

# The mirror of Debian itself that apt is configured with.
debian_mirror() {
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

need_root() {
  [ "$(id -u)" -eq 0 ] || { echo "$0: a chroot needs root" >&2; exit 1; }
}

chroot_make() {
  local suite=$1 folder=$2
  shift 2
  local include
  include=$(IFS=,; echo "$*")
  if [ -e "$folder/.complete" ] && [ "$(cat "$folder/.complete")" = "$include" ]; then return; fi
  rm -rf --one-file-system "$folder"
  mkdir -p "$(dirname "$folder")"
  echo "making a Debian $suite in $folder"
  if ! debootstrap --variant=minbase ${include:+--include="$include"} "$suite" "$folder" "$(debian_mirror)" \
    >"$folder.log" 2>&1; then
    tail -n 20 "$folder.log" >&2
    exit 1
  fi
  echo "$include" >"$folder/.complete"
}

chroot_run() {
  local folder=$1
  shift
  # A mount namespace of its own: whatever happens, nothing stays mounted here.
  unshare --mount --net --pid --fork --kill-child -- bash -ec '
    folder=$1; shift
    mount --make-rprivate /
    mount -t proc proc "$folder/proc"
    mount --rbind /dev "$folder/dev"
    mount -t tmpfs tmpfs "$folder/tmp"
    ip link set lo up
    exec chroot "$folder" "$@"' chroot_run "$folder" "$@"
}
