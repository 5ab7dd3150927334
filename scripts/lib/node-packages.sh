# shellcheck shell=bash
# The Node packages of tests/node, and the icp-cli among them. To be sourced; the project's folder is the working folder.

# Fails, and prints why, unless there is a Node.js that this project's scripts run on: `import.meta.dirname` came with 20.11 and with 21.2.
node_works() {
    if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
        printf 'there is no node or npm'
    elif ! node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 21 || (major === 21 && minor >= 2) || (major === 20 && minor >= 11) ? 0 : 1);
    ' >/dev/null 2>&1; then
        printf 'Node.js %s is too old' "$(node --version 2>/dev/null)"
    else
        return 0
    fi
    return 1
}

# Installs the packages, if they are not there as package-lock.json says.
node_packages() (
    cd tests/node || exit
    installed=node_modules/.installed
    if ! cmp --silent package-lock.json "$installed"; then
        npm ci && cp package-lock.json "$installed"
    fi
)

# Prints where icp-cli is: that of npm, where it has one for this machine, or the one in the PATH.
find_icp() {
    local packaged=tests/node/node_modules/@icp-sdk/icp-cli-linux-x64/bin/icp
    if [[ -x $packaged ]]; then
        printf '%s\n' "$PWD/$packaged"
    else
        command -v icp
    fi
}
