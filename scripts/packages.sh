# What Debian 12 packages a build, a run and the tests need. Sourced by the other scripts; no command runs here but the
# functions' own.
build_packages="gcc cmake ninja-build pkg-config libopenblas-openmp-dev libdnnl-dev liblapacke-dev libcjson-dev libyaml-dev libstb-dev libjpeg62-turbo-dev libtiff-dev libwebp-dev zlib1g-dev libzstd-dev libsnappy-dev libxxhash-dev libpcre2-dev libutf8proc-dev"
run_packages="gnuplot-nox dataset-fashion-mnist $(tr '\n' ' ' <"$(dirname "${BASH_SOURCE[0]}")/packages-fonts.txt")"
test_packages="tmux python3 libopenmpi-dev openmpi-bin libcmocka-dev clang libomp-dev clang-format"

# Installs what is missing of the named packages. Where it cannot (not root, no network), says which and goes on if all is
# there, else stops.
need_packages() {
    local missing=() p
    for p in "$@"; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "missing packages, and no right to install them; run: sudo apt-get install ${missing[*]}" >&2
            return 1
        fi
        sudo=(sudo)
    fi
    echo "installing: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq || echo "apt-get update failed; trying with the lists that are here" >&2
    if ! DEBIAN_FRONTEND=noninteractive "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
        echo "could not install; run this when the network is there: apt-get install ${missing[*]}" >&2
        return 1
    fi
}
