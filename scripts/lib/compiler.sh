# The compiler that makes WebAssembly modules, and how it is called, for scripts that source this file.
#
#   rustup   the installed Rust with its wasm32-unknown-unknown target
#   add      the same, after `rustup target add wasm32-unknown-unknown`
#   debian   Debian's rustc-web, which builds the standard library from source (rust-web-src)
#
# The first of these that works is taken, or the one that INDUS_COMPILER names. The script brings `say`, `die` and `has`,
# and the folders `root` (the repository, where it is), `target_dir` (where cargo works) and `scratch` (of this run alone).
# shellcheck shell=bash disable=SC2154

# shellcheck source=scripts/lib/source.sh
source "$(dirname "${BASH_SOURCE[0]}")/source.sh"

readonly TARGET=wasm32-unknown-unknown
readonly DEBIAN_PACKAGES=(rustc-web cargo-web rust-web-src)

# Sets `compiler` (what the module is marked with), `cargo` (the command) and `build_flags`.
choose_compiler() {
    has rustc && has cargo || has /usr/bin/rustc || has apt-get ||
        die "there is no Rust: install it from https://rustup.rs"
    case ${INDUS_COMPILER:-} in
        '') use_rustup || add_target || use_debian ;;
        rustup) use_rustup || add_target || die "rustup can't provide the $TARGET target (INDUS_COMPILER=rustup)" ;;
        debian) use_debian ;;
        *) die "INDUS_COMPILER is rustup or debian" ;;
    esac
}

use_rustup() {
    local libraries
    has rustc && has cargo || return 1
    libraries=$(rustc --print target-libdir --target "$TARGET" 2>/dev/null) || return 1
    compgen -G "$libraries/libstd-*.rlib" >/dev/null || return 1
    cargo=(cargo)
    sources=$(rustc --print sysroot)/lib/rustlib/src/rust
    compiler=$(rustc --version)
    build_flags=()
}

add_target() {
    # rustup's proxies may be shadowed by another rustc, which a target would not help.
    has rustup && [[ $(rustup which rustc 2>/dev/null) == "$(rustc --print sysroot 2>/dev/null)"/* ]] || return 1
    # What could not be had once is not tried by every build.
    [[ ! -e target/tools/no-rustup-target ]] || return 1
    say "rustup target add $TARGET"
    if timeout --foreground 300 rustup target add "$TARGET" >"$scratch/rustup" 2>&1 && use_rustup; then
        return 0
    fi
    say "rustup can't download it; Debian's packages can do without"
    mkdir -p target/tools && : >target/tools/no-rustup-target
    return 1
}

use_debian() {
    local linker linker_version
    install_debian
    if linker=$(rustup_linker); then
        linker_version=$("$linker" -flavor wasm --version)
    else
        has wasm-ld || apt_install lld
        linker=$(command -v wasm-ld || compgen -c wasm-ld- | sort -V | tail -n 1) || true
        [[ -n $linker ]] || die "there is no WebAssembly linker: install lld"
        linker_version=$("$linker" --version)
    fi
    cargo=(env RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker" /usr/bin/cargo)
    sources=$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust
    compiler="$(/usr/bin/rustc --version), std from source, ${linker_version%% (*}"
    build_flags=("-Zbuild-std=std,panic_abort")
}

# The linker that comes with the installed Rust.
rustup_linker() {
    local sysroot host linker
    has rustc || return 1
    sysroot=$(rustc --print sysroot)
    host=$(rustc -vV | sed -n 's/^host: //p')
    linker=$sysroot/lib/rustlib/$host/bin/rust-lld
    [[ -x $linker ]] && printf '%s' "$linker"
}

install_debian() {
    [[ -x /usr/bin/rustc && -x /usr/bin/cargo && -e /usr/lib/rustlib/src/rust/library/std ]] && return
    has apt-get || die "no compiler for $TARGET: run \`rustup target add $TARGET\` where there is a network"
    apt_install "${DEBIAN_PACKAGES[@]}"
}

apt_install() {
    local as_root=()
    has apt-get || die "needs Debian's packages $*, and there is no apt-get"
    if [[ $(id -u) -ne 0 ]]; then
        if ! has sudo || ! sudo -n true 2>/dev/null; then
            die "needs packages, and may not install them; run: sudo apt-get update && sudo apt-get install -y $*"
        fi
        as_root=(sudo -n)
    fi
    say "apt-get install $*"
    if ! { "${as_root[@]}" apt-get update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
        >"$scratch/apt" 2>&1; then
        tail -n 5 "$scratch/apt" >&2
        die "apt-get could not install: $*"
    fi
}

# Nothing of the caller's environment may change a module.
forget_settings() {
    local name
    for name in $(compgen -e); do
        case $name in
            RUSTFLAGS | CARGO_ENCODED_RUSTFLAGS | RUSTC | RUSTC_WRAPPER | RUSTC_WORKSPACE_WRAPPER | RUSTC_BOOTSTRAP) ;;
            CARGO_BUILD_JOBS) continue ;;
            CARGO_BUILD_* | CARGO_PROFILE_* | CARGO_TARGET_WASM32_* | CARGO_UNSTABLE_* | CARGO_INCREMENTAL) ;;
            *) continue ;;
        esac
        unset "$name"
    done
}

# compile <package> [profile]
compile() {
    local separator=$'\x1f'
    local flags="--remap-path-prefix=$root=/src"
    flags+="$separator--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
    flags+="$separator--remap-path-prefix=$sources=/rust"
    # SHA-256 takes fewer instructions with vectors; every subnet has them.
    flags+="$separator-Ctarget-feature=+simd128"
    flags+="$separator--remap-path-prefix=$(readlink -f "$sources" || printf '%s' "$sources")=/rust"
    (
        forget_settings
        # What `service_info` says of the module.
        INDUS_COMMIT=$(source_commit) INDUS_COMPILER_VERSION=$compiler \
            CARGO_ENCODED_RUSTFLAGS=$flags CARGO_TARGET_DIR=$target_dir "${cargo[@]}" build --locked \
            --profile "${2:-canister}" --target "$TARGET" "${build_flags[@]}" --package "$1" --lib
    ) || die "$1 does not compile (see above)"
}
