#!/usr/bin/env bash
# Installs what building, the demo and the tests need, and says what it does. Quick and silent when all is there.
#
#   scripts/setup.sh demo     to build Ze and run the demo
#   scripts/setup.sh test     that, and what the tests and checks need
#
# Packages come from the distribution (apt, as root). The Rust toolchain is yours: it is checked, never installed.
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages=(
    clang llvm libelf-dev zlib1g-dev pkg-config make gcc g++ libc6-dev linux-libc-dev # the XDP program and libbpf
    protobuf-compiler                                                                 # the API
    cmake libpcre2-dev m4 libclang-dev                                                # libyang
)
run_packages=(iproute2 ethtool procps iputils-ping util-linux git)
test_packages=(jq bpftool shellcheck)

die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# The newest `rust-version` in the workspace: a crate may need more than the others.
needed_rust() {
    find . -name target -prune -o -name Cargo.toml -exec sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' {} + |
        sort -V | tail -n 1
}

rust_hint() {
    cat >&2 <<EOF
setup: $1
       Ze needs Rust $needed or later; what Debian 12 packages (1.63) is too old. Install rustup as
       https://www.rust-lang.org/tools/install says, with the components clippy and rustfmt; or, where rustup is
       there already:

           rustup update stable
           rustup component add clippy rustfmt

       Then run make again, as the user that owns the toolchain: it asks sudo for what needs root.
EOF
    exit 1
}

check_rust() {
    needed=$(needed_rust)
    command -v cargo >/dev/null || rust_hint 'there is no cargo on the PATH.'
    local has
    has=$(cargo --version | awk '{ print $2 }') || rust_hint 'cargo does not run.'
    has=${has%%-*} # a nightly's suffix
    [ "$(printf '%s\n%s\n' "$needed" "$has" | sort -V | head -n 1)" = "$needed" ] || rust_hint "cargo is $has."
}

check_rust_components() {
    local component
    for component in rustfmt clippy; do
        cargo "${component/rust/}" --version >/dev/null 2>&1 ||
            die "cargo ${component/rust/} is missing: rustup component add $component"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "installing packages needs root, and there is no sudo. As root: apt-get install ${missing[*]}"
    fi
}

# Prints those of its arguments that are not installed.
not_installed() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

# Without dpkg we can not know packages, only whether their programs are here.
check_programs() {
    local program absent=()
    for program in clang protoc cmake pkg-config gcc g++ m4 ip tc ethtool ping setsid; do
        command -v "$program" >/dev/null || absent+=("$program")
    done
    [ ${#absent[@]} = 0 ] || die "this is no Debian; install what provides: ${absent[*]} (Debian: ${wanted[*]})"
}

install_packages() {
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        check_programs
        return
    fi
    mapfile -t missing < <(not_installed "${wanted[@]}")
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "setup: installing ${#missing[@]} packages with apt: ${missing[*]}"
    as_root apt-get -q update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
}

needed=
missing=()
wanted=("${build_packages[@]}" "${run_packages[@]}")
case ${1-} in
    demo) ;;
    test) wanted+=("${test_packages[@]}") ;;
    *) die 'usage: scripts/setup.sh demo|test' ;;
esac
check_rust
if [ "$1" = test ]; then check_rust_components; fi
install_packages
