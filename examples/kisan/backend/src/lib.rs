//! Kisan's back end: what farmers are paid for their crops at the market.
//!
//! Prices are in stable memory, where an upgrade leaves them. Everybody reads them; who controls the canister sets them.

use std::cell::RefCell;

use candid::CandidType;
use ic_cdk::api::{is_controller, msg_caller};
use ic_stable_structures::{
    DefaultMemoryImpl, StableBTreeMap,
    memory_manager::{MemoryId, MemoryManager, VirtualMemory},
};
use serde::Deserialize;

/// The interface, where tools look for it in a canister.
#[cfg(target_family = "wasm")]
#[used]
#[unsafe(link_section = "icp:public candid:service")]
static INTERFACE: [u8; include_bytes!("../kisan.did").len()] = *include_bytes!("../kisan.did");

const MAX_CROPS: u64 = 200;
/// Longest name of a crop, in bytes.
const MAX_NAME: usize = 60;
/// Nothing that grows is worth more: a slip of the pen.
const MAX_PRICE_PKR: u64 = 10_000_000;

/// Ids of memories. One that was used is never used for anything else.
const PRICES: MemoryId = MemoryId::new(0);

/// Crops, and what is paid for 40 kilograms.
type Prices = StableBTreeMap<String, u64, VirtualMemory<DefaultMemoryImpl>>;

thread_local! {
    static STATE: RefCell<Prices> = RefCell::new(Prices::init(
        MemoryManager::init(DefaultMemoryImpl::default()).get(PRICES),
    ));
}

#[derive(CandidType, Deserialize)]
struct Price {
    crop: String,
    price_pkr: u64,
}

#[ic_cdk::query]
fn health() -> bool {
    true
}

#[ic_cdk::query]
fn prices() -> Vec<Price> {
    STATE.with_borrow(all)
}

#[ic_cdk::update]
fn set_price(price: Price) -> Result<(), String> {
    if !is_controller(&msg_caller()) {
        return Err("prices are set by who controls the canister".into());
    }
    STATE.with_borrow_mut(|prices| set(prices, price))
}

fn all(prices: &Prices) -> Vec<Price> {
    let price = |(crop, price_pkr)| Price { crop, price_pkr };
    let entries = prices.iter().map(|entry| entry.into_pair());
    entries.map(price).collect()
}

fn set(prices: &mut Prices, price: Price) -> Result<(), String> {
    let crop = price.crop.trim();
    if crop.is_empty() || crop.len() > MAX_NAME {
        return Err(format!("the name of a crop has 1 to {MAX_NAME} bytes"));
    }
    if !(1..=MAX_PRICE_PKR).contains(&price.price_pkr) {
        return Err(format!("a price is from 1 to {MAX_PRICE_PKR} rupees"));
    }
    let crop = crop.to_owned();
    if prices.len() >= MAX_CROPS && !prices.contains_key(&crop) {
        return Err(format!("at most {MAX_CROPS} crops"));
    }
    prices.insert(crop, price.price_pkr);
    Ok(())
}
