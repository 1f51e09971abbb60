#!/usr/bin/env bash
# The Debian packages, made and tried on a clean system: scripts/check-deb.sh [FOLDER] [--keep]
# Builds them, sets up a Debian 12 of its own in FOLDER (default: a temporary one, which is removed afterwards unless --keep), installs lora-ft there,
# runs the quickstart with nothing but what the packages brought, looks at manual pages and completions, runs the examples of the
# library against its packages, removes everything again, and fails if a file is left. Needs root, debootstrap, and the mirror that this machine has in its sources.
set -euo pipefail
cd "$(dirname "$0")/.."
keep=false root=
for argument in "$@"; do
    case $argument in
    --keep) keep=true ;;
    *) root=$argument ;;
    esac
done
[ "$(id -u)" -eq 0 ] || { echo "check-deb: needs root, for debootstrap and chroot" >&2; exit 2; }
. scripts/packages.sh
# shellcheck disable=SC2086
need_packages $build_packages dpkg-dev debootstrap
made=false
clean_up() {
    if mountpoint -q "$root/proc"; then umount "$root/proc"; fi
    if $made && ! $keep; then rm -rf --one-file-system "$root" "$root.log"; fi
}
trap clean_up EXIT
[ -n "$root" ] || { root=$(mktemp -d) && made=true; }
mkdir -p "$root"

cmake -S . -B build-deb -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr -DBUILD_TESTING=OFF >/dev/null
cmake --build build-deb
(cd build-deb && rm -f ./*.deb && cpack >cpack.log || { cat cpack.log >&2; exit 1; })
ls -l build-deb/*.deb

sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
mirror=$(sed -n -E 's/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p; s/^URIs: *([^ ]+).*/\1/p' <<<"$sources" | sed -n 1p)
[ -n "$mirror" ] || { echo "check-deb: no mirror in /etc/apt" >&2; exit 3; }
[ -x "$root/usr/bin/apt-get" ] || debootstrap --variant=minbase bookworm "$root" "$mirror" >"$root.log" 2>&1 || { tail -20 "$root.log" >&2; exit 1; }
# how this machine reaches the mirror
grep -l -i -E "Acquire::|proxy" /etc/apt/apt.conf.d/* 2>/dev/null | xargs -r cp -t "$root/etc/apt/apt.conf.d/" || true
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
mount -t proc proc "$root/proc"
home=$(chroot "$root" getent passwd 0 | cut -d: -f6)
cp build-deb/lora-ft_*.deb build-deb/liblora-ft*.deb build-deb/lora-ft-dev_*.deb "$root$home/"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$home" LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }

inside apt-get update -qq
before=$(inside find / -xdev -path /proc -prune -o -print | grep -c lora-ft)
# what the example needs is suggested, not brought
# shellcheck disable=SC2086
inside apt-get install -y -qq --no-install-recommends man-db bash-completion $run_packages >/dev/null
inside sh -c 'cd && apt-get install -y -qq ./lora-ft_*.deb >/dev/null'
inside lora-ft version
inside sh -ec 'cp -r /usr/share/lora-ft ~/lora-ft && cd ~/lora-ft
    LF_LETTERS=/usr/libexec/lora-ft/lf-letters scripts/make-letters.sh runs/letters 1 --train-per-class 300 --val-per-class 30 --test-per-class 60
    lora-ft train --config configs/quickstart.json --quiet
    test -s runs/quickstart/report.html && test -s runs/quickstart/adapter/adapter_model.safetensors'
inside sh -ec 'for page in lora-ft $(lora-ft help | sed -n "s/^  \([a-z][a-z]*\) .*/lora-ft-\1/p" | grep -v -E "ft-(help|version)$"); do
        man -w "$page" >/dev/null && man --warnings "$page" 2>&1 >/dev/null | (! grep .)
    done'
inside bash -ec '. /usr/share/bash-completion/bash_completion; _completion_loader lora-ft || true; complete -p lora-ft >/dev/null'

# The library: an example is compiled here, with the header and the library of the packages, and run there.
inside apt-get install -y -qq --no-install-recommends python3 >/dev/null
inside sh -c 'cd && apt-get install -y -qq ./liblora-ft*.deb ./lora-ft-dev_*.deb >/dev/null'
examples=/usr/share/doc/lora-ft-dev/examples
pc=$(cd "$root" && find usr/lib -name lora-ft.pc)
# shellcheck disable=SC2046
cc "$root$examples/classify.c" $(PKG_CONFIG_PATH=$root/${pc%/*} pkg-config --cflags --libs lora-ft) -Wl,--allow-shlib-undefined \
    -o "$root$home/classify"
inside sh -ec 'cd ~/lora-ft && find runs/letters/test -type f | sort | head -3 >pictures
    ~/classify data/fashion-vit runs/quickstart/adapter $(cat pictures) | cut -f 1,2 >found
    for picture in $(cat pictures); do
        lora-ft predict --quiet --model data/fashion-vit --adapter runs/quickstart/adapter --data "$picture" --output csv | tail -n +2
    done | awk -F , "{ print \$2 \"\t\" \$1 }" >expected
    test -s found && cmp found expected'
inside sh -ec "cd && python3 $examples/tune.py 2>&1 | grep -q '^usage: python3 tune.py'"
inside apt-get purge -y -qq lora-ft-dev 'liblora-ft*' lora-ft >/dev/null
inside sh -c 'rm -rf ~/lora-ft ~/classify ~/*lora-ft*.deb ~/.cache'
left=$(inside find / -xdev -path /proc -prune -o -print | grep -E "lora[-_]ft" | grep -v -E '^/var/(log|lib/apt|cache)/' || true)
[ -z "$left" ] || { echo "check-deb: left behind: $left" >&2; exit 1; }
echo "check-deb: installed, ran, and removed without a trace ($before files of that name before)"
