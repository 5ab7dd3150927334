# shellcheck shell=bash
# The Node packages of tests/node, and the icp-cli among them. To be sourced; the project's folder is the working folder.

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
