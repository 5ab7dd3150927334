//! The asset canister that examples upload their sites to: the crate `ic-certified-assets`, which has all of its methods, with what a
//! canister adds: the assets stay through upgrades.

use ic_certified_assets::types::AssetCanisterArgs;

#[ic_cdk::init]
fn init(args: Option<AssetCanisterArgs>) {
    ic_certified_assets::init(args);
}

#[ic_cdk::pre_upgrade]
fn pre_upgrade() {
    let assets = ic_certified_assets::pre_upgrade();
    ic_cdk::storage::stable_save((assets,)).expect("the assets can't be saved");
}

#[ic_cdk::post_upgrade]
fn post_upgrade(args: Option<AssetCanisterArgs>) {
    let (assets,) = ic_cdk::storage::stable_restore().expect("the assets can't be restored");
    ic_certified_assets::post_upgrade(assets, args);
}

ic_certified_assets::export_canister_methods!();
