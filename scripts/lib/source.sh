# What is sourced by scripts that tell a module's source apart.

# The last commit that changed what canisters are made of, `+changes` behind it if the folder has others; `unknown` outside
# of a repository. INDUS_COMMIT says it in its place: for a copy without a repository.
source_commit() {
    local commit
    local -r of=(canisters crates/api crates/certified crates/kit crates/mls crates/orchestrator Cargo.toml Cargo.lock)
    if [[ -n ${INDUS_COMMIT:-} ]]; then
        printf '%s' "$INDUS_COMMIT"
    elif commit=$(git log -1 --format=%H -- "${of[@]}" 2>/dev/null) && [[ -n $commit ]]; then
        [[ -z $(git status --porcelain -- "${of[@]}" 2>/dev/null) ]] || commit+=+changes
        printf '%s' "$commit"
    else
        printf unknown
    fi
}
